/** What the kernel of this host tells of it: its addresses, the interfaces by which others come, and bridges of whomever. */

import { hostname } from 'node:os'
import { findUplinks } from '../foreign/uplinks.ts'
import { type Cidr, type Ip, ipOf, networkOf } from '../model/address/address.ts'
import { present } from '../model/present.ts'
import { listAddresses } from '../netlink/address.ts'
import { listLinks } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { listRoutes } from '../netlink/route.ts'
import type { OtherNetwork } from '../networks/networks.ts'
import type { Facts } from './model.ts'

const SCOPE_GLOBAL = 0

/** @param lists the networks that have one, in the order in which they shall stand */
export function lookAtHost(
  lists: readonly OtherNetwork[],
): Pick<Facts, 'host' | 'own' | 'uplinks' | 'networks'> {
  using nl = openNetlink()
  const addresses = listAddresses(nl)
  const addressesOn = (index: number): Cidr[] =>
    addresses.flatMap(each => (each.index === index && each.scope === SCOPE_GLOBAL ? [each.address] : []))
  const bridges = new Map(listLinks(nl, { kind: 'bridge' }).map(({ name, index }) => [name, index]))
  const routed = new Set(
    ([4, 6] as const).flatMap(family =>
      listRoutes(nl, { family, onlyDefault: true }).flatMap(({ index, nextHops = [] }) => [
        index,
        ...nextHops.map(hop => hop.index),
      ]),
    ),
  )
  const found = new Map(
    ([4, 6] as const)
      .flatMap(family => findUplinks(family, ''))
      .map(({ name, index }) => [name, index() ?? 0] as const),
  )
  // Of a host without any, all interfaces count: its bridges are networks all the same.
  const uplinks = [...found].filter(([name, index]) => !bridges.has(name) || routed.has(index))
  const rank = ([, index]: readonly [string, number]) => (routed.has(index) ? 0 : 1)

  const subnetsOf = (bridge: string | undefined): Cidr[] =>
    addressesOn(bridges.get(bridge ?? '') ?? -1).map(networkOf)
  const networks = lists.map(({ name, bridges: [bridge], subnets }) =>
    present({ name, bridge, subnets: subnets.length > 0 ? subnets.map(networkOf) : subnetsOf(bridge) }),
  )
  const told = new Set([...lists.flatMap(list => list.bridges), ...uplinks.map(([name]) => name)])
  const others = [...bridges.keys()]
    .filter(name => !told.has(name))
    .map(name => ({ name, bridge: name, subnets: subnetsOf(name) }))
    .filter(({ subnets }) => subnets.length > 0)
  return {
    host: hostname(),
    own: new Set<Ip>(addresses.map(({ address }) => ipOf(address))),
    uplinks: uplinks
      .sort((a, b) => rank(a) - rank(b))
      .map(([name, index]) => ({ name, addresses: addressesOn(index) })),
    networks: [...networks, ...others],
  }
}
