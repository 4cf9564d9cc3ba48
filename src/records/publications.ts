/** What `tsnet publish` published, one file a publication. */

import type { NatIntent } from '../model/network.ts'
import type { Publication } from '../model/publication/publication.ts'
import { FolderIndex } from './folder-index.ts'
import { type Mention, maySpeakOf } from './mention.ts'
import { readTarget, type WrittenTarget, writtenTarget } from './reversed.ts'
import { publicationShape } from './shapes.ts'
import { mapStates, readKept, writeKept } from './state-files.ts'

const FOLDER = 'publications'
const fileOf = (id: string): string => `${FOLDER}/${id}.json`

/** As it is written now, or by builds for which the addresses of a container were one guest. */
type Written = Omit<Publication, 'nat' | 'target'> & {
  target: WrittenTarget
  nat?:
    | NonNullable<Publication['nat']>
    | { backend: 'iptables' | 'nftables'; ports: NatIntent; guest: NatIntent }
}

function understand({ nat, target, ...others }: Written): Publication {
  const rest = { ...others, ...readTarget(target) }
  if (nat === undefined) return rest
  if ('guests' in nat) return { ...rest, nat }
  const { guest, ...same } = nat
  return { ...rest, nat: { ...same, guests: [guest] } }
}

export function readPublication(id: string): Publication | undefined {
  const written = readKept<Written>(fileOf(id), publicationShape)
  return written && understand(written)
}

export function writePublication(publication: Publication): void {
  const { reverse: _, ...rest } = publication
  writeKept(fileOf(publication.id), { ...rest, target: writtenTarget(publication) } satisfies Written)
}
export const removePublication = (id: string): void => writeKept(fileOf(id), undefined)

/** @param mention absent: all; else those that may speak of it */
export const listPublications = (mention?: Mention): Publication[] =>
  mapStates(FOLDER, name => (name.endsWith('.json') ? publicationShape : undefined), understand, {
    isKept: true,
    isMeant: mention && maySpeakOf(mention),
  })

const readFile = (name: string): Publication | undefined =>
  name.endsWith('.json') ? readPublication(name.slice(0, -'.json'.length)) : undefined

/** All publications, for a process that asks again and again. */
export const publicationIndex = (): FolderIndex<Publication> => new FolderIndex(FOLDER, readFile)
