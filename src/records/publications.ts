/** What `tsnet publish` published, one file a publication. */

import type { NatIntent } from '../model/network.ts'
import type { Publication } from '../model/publication/publication.ts'
import { FolderIndex } from './folder-index.ts'
import { listStates, readState, writeState } from './records.ts'

const FOLDER = 'publications'
const fileOf = (id: string): string => `${FOLDER}/${id}.json`

/** As it is written now, or by builds for which the addresses of a container were one guest. */
type Written = Omit<Publication, 'nat'> & {
  nat?:
    | NonNullable<Publication['nat']>
    | { backend: 'iptables' | 'nftables'; ports: NatIntent; guest: NatIntent }
}

function understand({ nat, ...rest }: Written): Publication {
  if (nat === undefined) return rest
  if ('guests' in nat) return { ...rest, nat }
  const { guest, ...others } = nat
  return { ...rest, nat: { ...others, guests: [guest] } }
}

export function readPublication(id: string): Publication | undefined {
  const written = readState<Written>(fileOf(id))
  return written && understand(written)
}

export const writePublication = (publication: Publication): void =>
  writeState(fileOf(publication.id), publication)
export const removePublication = (id: string): void => writeState(fileOf(id), undefined)
export const listPublications = (): Publication[] => listStates<Written>(FOLDER).map(understand)

/** All publications, for a process that asks again and again. */
export const publicationIndex = (): FolderIndex<Publication> =>
  new FolderIndex(FOLDER, name =>
    name.endsWith('.json') ? readPublication(name.slice(0, -'.json'.length)) : undefined,
  )
