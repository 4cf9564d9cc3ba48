/** Whom containers that have a list reached, and whom they tried to, in the words of lists. */

import { bitsOf, cidrOf, familyOf, type Ip, isForMany, lastOf } from '../model/address/address.ts'
import { byEntry, entryText, type Permission, permissionText } from '../model/address/reach.ts'
import { type Attachment, nameOfAttached } from '../model/network.ts'
import { type Protocol, protocolNumbers } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { type ReachUse, type Refused, readReachUse } from '../nat/nat.ts'
import { reachGuardOf } from './plan.ts'

/** A container that may reach everybody has one, `open`; of `kept` there is at most one. */
export const REACHED_OUTCOMES = ['allowed', 'kept', 'denied', 'open'] as const

export interface Reached {
  outcome: (typeof REACHED_OUTCOMES)[number]
  /** Of what is allowed its entry; of what was denied one that would allow it; else `names`, `everybody`. */
  entry: string
  /** Since the list was made. Of a connection all that the container sends is counted. */
  packets: number
  /** Others of the list mean some of the same, and the number is of all of them. */
  isShared?: true
  /** ISO 8601; of what was denied. */
  last?: string
  /** Of what was denied. */
  to?: string
  protocol?: string
  port?: number
  owner: string
  containerId: string
  name: string
  network: string
  ifname: string
}

interface Known {
  owner: string
  attachment: Attachment
}

/** As the kernel counts it; undefined where it holds no list, or the container needs none. @throws NetlinkError */
export function reachUseOf({ owner, attachment }: Known): ReachUse | undefined {
  const { hostInterface, containerInterface, bridgeOptions } = attachment
  const known = { owner, hostInterface: hostInterface.name, mac: containerInterface.mac }
  const guard = reachGuardOf(attachment, bridgeOptions, known)
  return guard && readReachUse(guard)
}

/** What is allowed in the order of the list, then what was denied, the latest first. @throws NetlinkError */
export function reachedBy(known: Known): Reached[] {
  const { owner, attachment } = known
  const { containerId, network, ifname, reach } = attachment
  const of = { owner, containerId, name: nameOfAttached(attachment), network, ifname }
  if (reach === undefined) return [{ outcome: 'open', entry: 'everybody', packets: 0, ...of }]
  const use = reachUseOf(known)
  const used =
    use?.used ?? byEntry(reach.allow).map(permissions => ({ permissions, packets: 0, isShared: false }))
  const now = Date.now()
  return [
    ...used.map(
      ({ permissions, packets, isShared }): Reached => ({
        outcome: 'allowed',
        entry: entryText(permissions),
        packets,
        ...(isShared && { isShared }),
        ...of,
      }),
    ),
    ...(use === undefined || use.kept === 0
      ? []
      : [{ outcome: 'kept', entry: 'names', packets: use.kept, ...of } as const]),
    ...(use?.refused ?? []).map(
      ({ agoMs, packets, ...refused }): Reached => ({
        outcome: 'denied',
        entry: permissionText(permissionFor(refused)),
        packets,
        last: new Date(now - agoMs).toISOString(),
        ...refused,
        ...of,
      }),
    ),
  ]
}

/** Whether it is somebody whom a container addresses: programs send to many unasked, and those are in no list. */
export function isToOne({ leases }: Pick<Attachment, 'leases'>): (one: { to: Ip }) => boolean {
  const broadcasts = new Set(leases.map(({ address }) => lastOf(address)))
  return ({ to }) => !isForMany(to) && !broadcasts.has(to)
}

/** The narrowest entry that allows it: without a port that is the whole address. */
export function permissionFor({ to, protocol, port }: Pick<Refused, 'to' | 'protocol' | 'port'>): Permission {
  const address = cidrOf(to, bitsOf(familyOf(to)))
  const isNamed = Object.hasOwn(protocolNumbers, protocol)
  return {
    to: address,
    ...present({
      service:
        isNamed && port !== undefined && port > 0
          ? { protocol: protocol as Protocol, first: port, last: port }
          : undefined,
    }),
  }
}
