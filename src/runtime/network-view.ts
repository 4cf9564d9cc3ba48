/**
 * A container as the network sees it, whatever runtime it has: the addresses in its namespace that the
 * host can reach, and the bridge they lie behind.
 */

import { type Cidr, familyOf, type Ip, ipOf } from '../model/address.ts'
import { listAddresses } from '../netlink/address.ts'
import { findLink, type Link, listLinks } from '../netlink/link.ts'
import { netnsNumber } from '../netlink/namespace.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { inside, type Netns } from '../netns/netns.ts'

const SCOPE_GLOBAL = 0

export interface NetworkView {
  addresses: Cidr[]
  bridge?: string
  /** An address of its own, reachable or not, that is not loopback's; IPv4 before IPv6. */
  ownAddress?: Ip
}

export function lookInto(netns: Netns): NetworkView {
  const { links, addresses } = inside(netns, () => {
    using nl = openNetlink()
    return { links: listLinks(nl), addresses: listAddresses(nl) }
  })
  using host = openNetlink()
  // A tentative one is usable in a moment; until then, and if it is the only one, clients wait for it.
  const usable = addresses
    .filter(each => each.scope === SCOPE_GLOBAL && !each.dadFailed)
    .sort((a, b) => Number(a.tentative) - Number(b.tentative))
  const number = netnsNumber(host, netns.fd)
  const reachable = links.flatMap(link => {
    const bridge = bridgeOf(host, link, number)
    const own = usable.filter(each => each.index === link.index)
    return bridge === undefined ? [] : own.map(each => ({ address: each.address, bridge }))
  })
  const bridge = reachable[0]?.bridge
  const own = usable.find(each => familyOf(each.address) === 4) ?? usable[0]
  return {
    addresses: reachable.filter(each => each.bridge === bridge).map(each => each.address),
    ...(bridge !== undefined && { bridge }),
    ...(own !== undefined && { ownAddress: ipOf(own.address) }),
  }
}

/**
 * The host's bridge that the other end of a container's veth is a port of.
 * @param number by which the host knows the container's namespace
 */
function bridgeOf(host: Netlink, link: Link, number: number): string | undefined {
  if (link.kind !== 'veth' || link.peerIndex === undefined) return undefined
  const port = findLink(host, { index: link.peerIndex })
  // Indices are used in every namespace anew: a container within another container can have the same.
  const ends = port?.kind === 'veth' && port.peerIndex === link.index && port.peerNetnsId === number
  if (!ends || number < 0 || port.masterIndex === undefined) return undefined
  return findLink(host, { index: port.masterIndex })?.name
}
