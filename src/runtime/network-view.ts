/**
 * A container as the network sees it, whatever runtime it has: the addresses in its namespace that the
 * host can reach, and the bridge they lie behind.
 *
 * Of several networks it is the one that the default route leaves by: there the answers to clients come from,
 * with the address that the clients were led to.
 */

import { type Cidr, type Family, familyOf, type Ip, ipOf } from '../model/address/address.ts'
import { listAddresses } from '../netlink/address.ts'
import { RT_TABLE_MAIN } from '../netlink/constants.ts'
import { findLink, type Link, listLinks } from '../netlink/link/link.ts'
import { netnsNumber } from '../netlink/namespace.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { type KernelRoute, listRoutes } from '../netlink/route.ts'
import { inside, type Netns } from '../netns/netns.ts'

const SCOPE_GLOBAL = 0

export interface NetworkView {
  addresses: Cidr[]
  bridge?: string
  /** The host's end of the first address's link: a port of the bridge. */
  bridgePort?: string
  /** That port is isolated from others that are (`ip link set NAME type bridge_slave isolated on`). */
  isolated?: true
  /** The container's addresses on other networks. */
  otherAddresses?: Ip[]
  /** An address of its own, reachable or not, that is not loopback's; IPv4 before IPv6. */
  ownAddress?: Ip
}

/** A port of a bridge of the host. */
export interface BridgePort {
  bridge: string
  name: string
  isolated: boolean
}

export function lookInto(netns: Netns): NetworkView {
  const { links, addresses, leading } = inside(netns, () => {
    using nl = openNetlink()
    return { links: listLinks(nl), addresses: listAddresses(nl), leading: defaultLinks(nl) }
  })
  using host = openNetlink()
  // A tentative one is usable in a moment; until then, and if it is the only one, clients wait for it.
  const usable = addresses
    .filter(each => each.scope === SCOPE_GLOBAL && !each.dadFailed)
    .sort((a, b) => Number(a.tentative) - Number(b.tentative))
  const number = netnsNumber(host, netns.fd)
  const inOrder = [...leading[4], ...leading[6]]
  const rank = ({ index }: Link): number => (inOrder.includes(index) ? inOrder.indexOf(index) : Infinity)
  const reachable = links
    .toSorted((a, b) => (rank(a) === rank(b) ? 0 : rank(a) - rank(b)))
    .flatMap(link => {
      const port = portOf(host, link, number)
      const own = usable.filter(each => each.index === link.index)
      return port === undefined ? [] : own.map(({ address }) => ({ address, port }))
    })
  const first = reachable[0]?.port
  const chosen = reachable.filter(({ port }) => port.bridge === first?.bridge).map(({ address }) => address)
  const others = usable.map(({ address }) => address).filter(address => !chosen.includes(address))
  const own = usable.find(each => familyOf(each.address) === 4) ?? usable[0]
  return {
    addresses: chosen,
    ...(first !== undefined && { bridge: first.bridge, bridgePort: first.name }),
    ...(first?.isolated && { isolated: true }),
    ...(first !== undefined && others.length > 0 && { otherAddresses: others.map(ipOf) }),
    ...(own !== undefined && { ownAddress: ipOf(own.address) }),
  }
}

/**
 * Families in which a container's default route leaves over a bridge. What rules lead there comes from the
 * client itself: without such a route the answer goes nowhere, or past the host.
 */
export function answeringFamilies(netns: Netns, bridge: string): Family[] {
  const { links, leading } = inside(netns, () => {
    using nl = openNetlink()
    return { links: listLinks(nl), leading: defaultLinks(nl) }
  })
  using host = openNetlink()
  const number = netnsNumber(host, netns.fd)
  const behind = links.filter(link => portOf(host, link, number)?.bridge === bridge).map(({ index }) => index)
  return ([4, 6] as const).filter(family => leading[family].slice(0, 1).some(index => behind.includes(index)))
}

/** The host's end of the link that has one of a container's addresses, as far as it is a port of a bridge. */
export function bridgePortOf(netns: Netns, ip: Ip): BridgePort | undefined {
  const link = inside(netns, () => {
    using nl = openNetlink()
    const index = listAddresses(nl).find(({ address }) => ipOf(address) === ip)?.index
    return index === undefined ? undefined : findLink(nl, { index })
  })
  using host = openNetlink()
  return link && portOf(host, link, netnsNumber(host, netns.fd))
}

/** The links that default routes leave by, the preferred ones first; in the namespace of the thread. */
export function defaultLinks(nl: Netlink): Record<Family, number[]> {
  const linksOf = (family: Family): number[] =>
    listRoutes(nl, { family, table: RT_TABLE_MAIN, onlyDefault: true })
      .filter(({ type }) => type === 'unicast')
      .toSorted((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
      .flatMap(hopsOf)
  return { 4: linksOf(4), 6: linksOf(6) }
}

const hopsOf = ({ index, nextHops = [] }: KernelRoute): number[] =>
  [index, ...nextHops.map(hop => hop.index)].filter(each => each !== undefined)

/**
 * The host's bridge that the other end of a container's veth is a port of, and that end.
 * @param number by which the host knows the container's namespace
 */
function portOf(host: Netlink, link: Link, number: number): BridgePort | undefined {
  if (link.kind !== 'veth' || link.peerIndex === undefined) return undefined
  const end = findLink(host, { index: link.peerIndex })
  // Indices are used in every namespace anew: a container within another container can have the same.
  const ends = end?.kind === 'veth' && end.peerIndex === link.index && end.peerNetnsId === number
  if (!ends || number < 0 || end.masterIndex === undefined) return undefined
  const bridge = findLink(host, { index: end.masterIndex })
  return bridge && { bridge: bridge.name, name: end.name, isolated: end.port?.isolated === true }
}
