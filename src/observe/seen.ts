/** What is kept of an attachment for those who look on. */

import { type Ip, ipOf } from '../model/address/address.ts'
import { type Attachment, type AttachmentKey, nameOfAttached, ownerTag } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'

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
  /** It may not reach everybody. */
  hasList?: true
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
  ...(attachment.reach !== undefined && { hasList: true }),
})
