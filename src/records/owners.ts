/** Who an owner tag stands for: an attachment, or a publication. */

import { nameOfAttached, type Undertaking } from '../model/network.ts'
import { calledTarget } from '../model/publication/publication.ts'
import { sameNamespace } from '../netns/netns.ts'
import { readRecord } from './chained.ts'
import { readPublication } from './publications.ts'
import { isUser, readEntry } from './records.ts'

/** The container that an owner is an attachment of. */
export type OwningContainer = Pick<Undertaking, 'containerId' | 'netns'>

export const containerOf = (owner: string): OwningContainer | undefined => attachmentOf(owner)

/** One of the same id in another namespace is an earlier life of it, or somebody else. */
export const sameContainer = (a: OwningContainer, b: OwningContainer): boolean =>
  a.containerId === b.containerId && sameNamespace(a.netns, b.netns)

const attachmentOf = (owner: string) => readEntry(owner)?.attachment ?? readRecord('portmap', owner)

/** In words, for messages; undefined when it stands for nothing any more. */
export function describeOwner(owner: string): string | undefined {
  const attachment = attachmentOf(owner)
  if (attachment !== undefined)
    return `container ${nameOfAttached(attachment)} on network ${attachment.network}`
  const publication = readPublication(owner)
  if (publication !== undefined) {
    const kind = publication.service === undefined ? 'container ' : ''
    return `${kind}${calledTarget(publication)} by tsnet publish`
  }
  return hasRules(owner) ? `a container whose record is lost (${owner}): DEL of that one frees it` : undefined
}

const RULES = ['nat-iptables', 'nat-nftables', 'portmap-iptables', 'portmap-nftables']

/** Rules may still lead there, whatever has become of the record. */
const hasRules = (owner: string): boolean => RULES.some(resource => isUser(resource, owner))
