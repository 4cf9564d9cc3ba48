/**
 * Links, addresses and routes of places: one conversation each, spoken in the place.
 */

import { type Cidr, familyOf, type Ip, ipOf, parseCidr } from '../model/address/address.ts'
import { isLinkLocal } from '../model/address/host.ts'
import { addAddress, listAddresses } from '../netlink/address.ts'
import { addBridge, addVeth } from '../netlink/link/add.ts'
import { changeLink, getLink } from '../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { addRoute, listRoutes } from '../netlink/route.ts'
import { inside, type Netns, type Sync } from '../netns/netns.ts'
import { readSysctl, writeSysctl } from '../netns/sysctl.ts'

/** Speaks with the kernel in a namespace. */
export function converse<T>(netns: Netns, work: (nl: Netlink) => Sync<T>): Sync<T> {
  return inside(netns, () => {
    using nl = openNetlink()
    return work(nl)
  })
}

/**
 * Its IPv6 link-local address is usable at once: during duplicate address detection, which takes a second
 * or two, the kernel would forward nothing over the link, since neighbours are asked for in its name.
 */
export function setUp(netns: Netns, ifname: string): void {
  inside(netns, () => writeSysctl(`net/ipv6/conf/${ifname}/accept_dad`, '0'))
  converse(netns, nl => changeLink(nl, getLink(nl, { name: ifname }), { up: true }))
}

/** A veth pair, both ends up. */
export function wireUp(netns: Netns, ifname: string, peerNetns: Netns, peer: string): void {
  converse(netns, nl => {
    addVeth(nl, { name: ifname, peer: { name: peer, netnsFd: peerNetns.fd } })
  })
  setUp(netns, ifname)
  setUp(peerNetns, peer)
}

/** The table of routes to a host's own addresses (RT_TABLE_LOCAL). */
const LOCAL_TABLE = 255

/** A host whose kernel gives links no link-local address would never come to the end. */
const SETTLED_WITHIN_MS = 2_000

/**
 * Returns when the kernel has done what follows from a link that is up: a link-local address, and a route to each
 * IPv6 address. It does so in a work queue of its own, on a busy machine after others have looked at the host.
 */
export function awaitOwnRoutes(netns: Netns, ifname: string): void {
  if (inside(netns, () => readSysctl(`net/ipv6/conf/${ifname}/disable_ipv6`)) !== '0') return
  const settled = () =>
    converse(netns, nl => {
      const link = getLink(nl, { name: ifname })
      const addresses = listAddresses(nl, { link, family: 6 }).map(({ address }) => ipOf(address))
      const routes = listRoutes(nl, { family: 6, table: LOCAL_TABLE, link })
      const routed = new Set(routes.map(({ destination }) => ipOf(destination)))
      return addresses.some(isLinkLocal) && addresses.every(address => routed.has(address))
    })
  const deadline = performance.now() + SETTLED_WITHIN_MS
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  while (!settled() && performance.now() < deadline) Atomics.wait(sleeper, 0, 0, 1)
}

/** A bridge that is up, with ports that are there already. */
export function bridgePorts(netns: Netns, name: string, ports: readonly string[]): void {
  converse(netns, nl => {
    const { index } = addBridge(nl, { name })
    for (const port of ports) changeLink(nl, getLink(nl, { name: port }), { master: index })
  })
  setUp(netns, name)
}

/** Usable at once, without duplicate address detection. */
export function giveAddress(netns: Netns, ifname: string, address: Cidr): void {
  converse(netns, nl => addAddress(nl, getLink(nl, { name: ifname }), { address, noDad: true }))
}

export function giveRoute(netns: Netns, destination: Cidr | 'default', gateway: Ip): void {
  const everything = parseCidr(familyOf(gateway) === 4 ? '0.0.0.0/0' : '::/0')
  converse(netns, nl =>
    addRoute(nl, { destination: destination === 'default' ? everything : destination, gateway }),
  )
}
