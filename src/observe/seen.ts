/** What is kept of an attachment for those who look on. */

import { type Ip, ipOf } from '../model/address/address.ts'
import { byEntry, entryText, type Reach } from '../model/address/reach.ts'
import { type Attachment, type AttachmentKey, nameOfAttached, ownerTag } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { sha256 } from '../model/sha256.ts'

export interface Seen extends AttachmentKey {
  owner: string
  /** As its runtime calls it, or else its id. */
  name: string
  addresses: readonly Ip[]
  ports: readonly PortMapping[]
  /** ISO 8601: another one of the same name has another. */
  createdAt: string
  /** The host's end of its link. */
  hostInterface: string
  /** Whom it may reach; absent: everybody. */
  list?: SeenList
}

export const seenOf = (attachment: Attachment): Seen => ({
  owner: ownerTag(attachment),
  network: attachment.network,
  containerId: attachment.containerId,
  ifname: attachment.ifname,
  name: nameOfAttached(attachment),
  addresses: attachment.leases.map(({ address }) => ipOf(address)),
  ports: attachment.ports,
  createdAt: attachment.createdAt,
  hostInterface: attachment.hostInterface.name,
  ...(attachment.reach !== undefined && { list: seenList(attachment.reach) }),
})

/** A list as far as it is told, and what tells it from another. */
export interface SeenList {
  digest: string
  /** The first of them. */
  entries: string[]
  number: number
}

/** Of what is told of one subject at most. */
export const WHAT_MAX = 10

function seenList({ allow }: Reach): SeenList {
  const all = byEntry(allow)
  return {
    digest: sha256(JSON.stringify(allow)),
    entries: all.slice(0, WHAT_MAX).map(entryText),
    number: all.length,
  }
}
