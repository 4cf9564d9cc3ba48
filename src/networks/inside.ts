/** The interfaces of a container, and a name that is free among them. */

import { TsnetError } from '../model/errors.ts'
import type { NamespaceId } from '../model/network.ts'
import { listLinks } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { inside, openNetns } from '../netns/netns.ts'

/** The MAC of each interface, by its name. */
export type Interfaces = ReadonlyMap<string, string>

/** @throws TsnetError `invalid-netns` */
export function interfacesOf(netnsPath: string): Interfaces {
  using netns = openNetns(netnsPath)
  return inside(netns, () => {
    using nl = openNetlink()
    return new Map(listLinks(nl).map(({ name, mac }) => [name, mac]))
  })
}

/** @throws TsnetError `invalid-netns` */
export function identityAt(netnsPath: string): NamespaceId {
  using netns = openNetns(netnsPath)
  return netns.identity
}

/** As many interfaces as anybody gives a container. */
const MANY = 1000

/** The first of eth0, eth1, … that is not taken. */
export function freeName(taken: Interfaces): string {
  for (let number = 0; number < MANY; number++) {
    if (!taken.has(`eth${number}`)) return `eth${number}`
  }
  throw new TsnetError('conflict', `all names up to eth${MANY - 1} are taken; choose one with --ifname`)
}
