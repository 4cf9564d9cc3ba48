/**
 * Links, addresses and routes of places: one conversation each, spoken in the place.
 */

import { type Cidr, familyOf, type Ip, parseCidr } from '../model/address/address.ts'
import { addAddress } from '../netlink/address.ts'
import { addBridge, addVeth } from '../netlink/link/add.ts'
import { changeLink, getLink } from '../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { addRoute } from '../netlink/route.ts'
import { inside, type Netns, type Sync } from '../netns/netns.ts'
import { writeSysctl } from '../netns/sysctl.ts'

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
