/**
 * The way out of this host.
 */

import type { Family } from '../model/address/address.ts'
import { RT_TABLE_MAIN } from '../netlink/constants.ts'
import { findLink } from '../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { listRoutes } from '../netlink/route.ts'
import { isOurBridge } from './names.ts'

/**
 * MTU of the interface of the default route, or of that route where it names a smaller one. IPv4 first,
 * the lowest metric first; interfaces that are down and our own bridges do not count.
 * @param name of an interface that is known to be the way out, and counts instead
 * @returns undefined where there is no default route
 */
export function uplinkMtu(name?: string): number | undefined {
  using nl = openNetlink()
  const named = name === undefined ? undefined : findLink(nl, { name })
  if (named !== undefined) return named.mtu
  return mtuOfDefault(nl, 4) ?? mtuOfDefault(nl, 6)
}

function mtuOfDefault(nl: Netlink, family: Family): number | undefined {
  // What a VPN or a test put into other tables is not this host's usual way.
  const defaults = listRoutes(nl, { family, table: RT_TABLE_MAIN, onlyDefault: true })
    .filter(({ type }) => type === 'unicast')
    .sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0))
  for (const { index, nextHops, mtu } of defaults) {
    for (const candidate of nextHops?.map(hop => hop.index) ?? [index]) {
      const link = candidate === undefined ? undefined : findLink(nl, { index: candidate })
      if (link?.up && !isOurBridge(link)) return Math.min(link.mtu, mtu ?? link.mtu)
    }
  }
  return undefined
}
