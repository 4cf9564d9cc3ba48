/** Who an owner tag stands for: an attachment, or a publication. */

import { nameOfAttached } from '../model/network.ts'
import { calledAll, type Publication } from '../model/publication/publication.ts'
import { readRecord } from './chained.ts'
import { FolderIndex } from './folder-index.ts'
import { listStates, readEntry, readState, writeState } from './records.ts'

const FOLDER = 'publications'
const fileOf = (id: string): string => `${FOLDER}/${id}.json`

export const readPublication = (id: string): Publication | undefined => readState<Publication>(fileOf(id))
export const writePublication = (publication: Publication): void =>
  writeState(fileOf(publication.id), publication)
export const removePublication = (id: string): void => writeState(fileOf(id), undefined)
export const listPublications = (): Publication[] => listStates<Publication>(FOLDER)

/** All publications, for a process that asks again and again. */
export const publicationIndex = (): FolderIndex<Publication> =>
  new FolderIndex(FOLDER, name => (name.endsWith('.json') ? readState(`${FOLDER}/${name}`) : undefined))

/** The container that an owner is an attachment of, as a text that tells it from all others. */
export function containerOf(owner: string): string | undefined {
  const { containerId, netns } = attachmentOf(owner) ?? {}
  return netns && `${containerId} ${netns.dev}:${netns.ino}`
}

const attachmentOf = (owner: string) => readEntry(owner)?.attachment ?? readRecord('portmap', owner)

/** In words, for messages; undefined when it stands for nothing any more. */
export function describeOwner(owner: string): string | undefined {
  const attachment = attachmentOf(owner)
  if (attachment !== undefined)
    return `container ${nameOfAttached(attachment)} on network ${attachment.network}`
  const publication = readPublication(owner)
  return publication && `container ${calledAll(publication.containers)} by tsnet publish`
}
