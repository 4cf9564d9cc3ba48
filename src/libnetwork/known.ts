/** Which list a network of Docker's is: a file each, which outlives a reboot as Docker's own memory does. */

import type { Cidr } from '../model/address/address.ts'
import { isCidr } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { Json } from '../model/json/json.ts'
import { flag, listOf, record, text, when } from '../model/json/shape.ts'
import { LASTING, listNames } from '../records/run-directory.ts'
import { readKept, writeKept } from '../records/state-files.ts'

export interface DockerNetwork {
  /** Docker's. */
  id: string
  /** The name of the list. */
  network: string
  /** The list was made for it, and goes with it. */
  isMade: boolean
  /** As Docker knows them; of a family that is not there the list's address is told to Docker. */
  subnets: Cidr[]
}

const FOLDER = `${LASTING}/docker-networks`
const ENDING = '.json'
const fileOf = (id: string): string => `${FOLDER}/${id}${ENDING}`

const SHAPE = record({
  id: text,
  network: text,
  isMade: flag,
  subnets: listOf(when(isCidr, 'a subnet')),
})

/** Letters and digits alone reach file names. */
const ID = /^[0-9A-Za-z]{1,128}$/

/** @param key `NetworkID` @throws TsnetError */
export function readId(asked: Json, key: string): string {
  const id = asked.get(key).text() ?? asked.get(key).refuse('is missing')
  return ID.test(id) ? id : asked.get(key).refuse('is no id')
}

export const findKnown = (id: string): DockerNetwork | undefined => readKept<DockerNetwork>(fileOf(id), SHAPE)

/** @throws TsnetError `invalid-environment` */
export function getKnown(id: string): DockerNetwork {
  const known = findKnown(id)
  if (known !== undefined) return known
  throw new TsnetError(
    'invalid-environment',
    `there is no network ${id.slice(0, 12)} of this driver here: what tsnet wrote down of it is gone; remove it from Docker, and make it anew`,
  )
}

export const writeKnown = (known: DockerNetwork): void => writeKept(fileOf(known.id), known)

export const forget = (id: string): void => writeKept(fileOf(id), undefined)

export const listKnownNetworks = (): DockerNetwork[] =>
  listNames(FOLDER)
    .filter(name => name.endsWith(ENDING))
    .flatMap(name => findKnown(name.slice(0, -ENDING.length)) ?? [])

/** Ids of Docker's networks on a list: made for them, or joined. */
export const dockersOn = (list: string): string[] =>
  listKnownNetworks()
    .filter(({ network }) => network === list)
    .map(({ id }) => id)

/** True where Docker has any network of ours. */
export const hasKnown = (): boolean => listNames(FOLDER).some(name => name.endsWith(ENDING))
