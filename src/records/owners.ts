/** Who an owner tag stands for: an attachment, or a publication. */

import { nameOfAttached } from '../model/network.ts'
import { calledAll } from '../model/publication/publication.ts'
import { readRecord } from './chained.ts'
import { readPublication } from './publications.ts'
import { readEntry } from './records.ts'

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
