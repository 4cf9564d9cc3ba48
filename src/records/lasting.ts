/**
 * Publications that outlive a reboot, one file each: what was asked for, and of containers how they are found again.
 * Where these are is another matter after a reboot, when the numbers of namespaces and processes are given anew.
 */

import { existsSync } from 'node:fs'
import { NOWHERE } from '../model/network.ts'
import { present } from '../model/present.ts'
import type { Container, Publication } from '../model/publication/publication.ts'
import { FolderIndex } from './folder-index.ts'
import { readPublication } from './publications.ts'
import { readTarget, type WrittenTarget, writtenTarget } from './reversed.ts'
import { LASTING, listNames, pathOf } from './run-directory.ts'
import { lastingShape } from './shapes.ts'
import { readKept, writeKept } from './state-files.ts'

const FOLDER = `${LASTING}/publications`
const ENDING = '.json'
const fileOf = (id: string): string => `${FOLDER}/${id}${ENDING}`

type Named = Pick<Container, 'runtime' | 'id' | 'name' | 'reference' | 'asked'>
type Written = Omit<Publication, 'containers' | 'keep' | 'target'> & {
  target: WrittenTarget
  containers: Named[]
}

/** As it is to be again; its containers are nowhere. */
export function readLasting(id: string): Publication | undefined {
  const written = readKept<Written>(fileOf(id), lastingShape)
  if (written === undefined) return undefined
  const containers = written.containers.map(each => ({ ...each, netns: NOWHERE, addresses: [] }))
  return { ...written, ...readTarget(written.target), containers, keep: true }
}

/** It is on the disk when this returns. @throws TsnetError `io` */
export function writeLasting(publication: Publication): void {
  const {
    nat: _,
    natObstacle: __,
    ending: ___,
    drainsUntil: ____,
    keep: _____,
    reverse: ______,
    ...asked
  } = publication
  // Who is called so then is seen then.
  const service = asked.service && { ...asked.service, away: [], drained: 0 }
  const here = service === undefined ? asked.containers : []
  const containers = here.map(({ runtime, id, name, reference, asked }) => ({
    runtime,
    id,
    name,
    reference,
    ...present({ asked }),
  }))
  const target = writtenTarget(publication)
  writeKept(fileOf(publication.id), {
    ...asked,
    target,
    containers,
    ...present({ service }),
  } satisfies Written)
}

/** It is not there any more, also after a power loss, when this returns. Idempotent. @throws TsnetError `io` */
export const removeLasting = (id: string): void => writeKept(fileOf(id), undefined)

const readFile = (name: string): Publication | undefined =>
  name.endsWith(ENDING) ? readLasting(name.slice(0, -ENDING.length)) : undefined

/** True where there may be any, served or not. */
export const hasLasting = (): boolean => existsSync(pathOf(FOLDER))

/** Those that wait for their containers: nothing of them is in the run directory. */
export const listResting = (): Publication[] =>
  listNames(FOLDER)
    .flatMap(name => readFile(name) ?? [])
    .filter(({ id }) => readPublication(id) === undefined)

/** All that last, served or not, for a process that asks again and again. */
export const lastingIndex = (): FolderIndex<Publication> => new FolderIndex(FOLDER, readFile)
