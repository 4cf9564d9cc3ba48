/**
 * The interfaces over which clients come, as far as that can be known: those that a default route leaves by, and
 * network cards. Where there is none of these, all that are no ports of a bridge, such as cables of a lab.
 */

import type { Family } from '../model/address/address.ts'
import { ipOf } from '../model/address/address.ts'
import { listAddresses } from '../netlink/address.ts'
import { RT_TABLE_MAIN } from '../netlink/constants.ts'
import { findLink, type Link, listLinks } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { listRoutes } from '../netlink/route.ts'
import type { Uplink } from './judge.ts'
import type { Interface } from './packet.ts'

/** Kinds that lead out of the host although they are made by software. */
const OUTWARD = ['vlan', 'bond', 'team', 'tun', 'wireguard', 'macvlan', 'ipvlan']

/** @param bridge that of the container, over which no client comes */
export function findUplinks(family: Family, bridge: string): Uplink[] {
  using nl = openNetlink()
  const links = listLinks(nl).filter(
    ({ name, up, masterIndex }) => up && name !== 'lo' && name !== bridge && masterIndex === undefined,
  )
  const routed = new Set(
    listRoutes(nl, { family, table: RT_TABLE_MAIN, onlyDefault: true }).flatMap(({ index, nextHops }) => [
      index,
      ...(nextHops ?? []).map(hop => hop.index),
    ]),
  )
  const leadsOut = ({ index, kind }: Link): boolean =>
    routed.has(index) || kind === undefined || OUTWARD.includes(kind)
  const outward = links.filter(leadsOut)
  const addresses = listAddresses(nl, { family })
  return (outward.length > 0 ? outward : links).map(({ name, index }) => {
    const address = addresses.find(each => each.index === index)?.address
    return { name, index: () => index, ...(address !== undefined && { ip: ipOf(address) }) }
  })
}

/** Each family is asked for once. */
export function uplinksBeside(bridge: string): (family: Family) => Uplink[] {
  const known = new Map<Family, Uplink[]>()
  return family => {
    const found = known.get(family) ?? findUplinks(family, bridge)
    known.set(family, found)
    return found
  }
}

/** Its index is asked for when a rule goes by it. */
export function interfaceNamed(name: string): Interface {
  let found: { index: number | undefined } | undefined
  return {
    name,
    index() {
      found ??= { index: indexOf(name) }
      return found.index
    },
  }
}

function indexOf(name: string): number | undefined {
  using nl = openNetlink()
  return findLink(nl, { name })?.index
}
