/** Making a network. */

import { uplinkObstacle } from '../bridge/bridge.ts'
import { familyOf } from '../model/address/address.ts'
import { isOfNetwork, readEntry } from '../model/address/reach.ts'
import { TsnetError } from '../model/errors.ts'
import type { AddressRange } from '../model/network.ts'
import { present } from '../model/present.ts'
import { findLink } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { permissionsOf } from '../network/reach/reach.ts'
import { whileLocked } from '../records/records.ts'
import { fileOf, writeList } from './file.ts'
import { bridgeNames, listFor, type MadeFor, type MadeList } from './list.ts'
import type { Host } from './places.ts'
import { chooseSubnet, configuredPools, requireFree, type SubnetPool } from './subnets.ts'
import { type OtherNetwork, otherNetworks, type Taken, takenOn } from './taken.ts'
import type { NetworkWish } from './wish/wish.ts'

/** Held while a network is made or removed, so that two do not choose the same. */
export const LOCK = 'networks'

export interface Made {
  name: string
  file: string
  list: MadeList
}

/**
 * Makes a network: a list where runtimes look for it. Its bridge comes with the first container.
 * @param options `isDry`: it is only said what list that would be; `madeFor`: another engine's network that it is made for
 * @throws TsnetError `conflict` naming what is in the way, `exhausted`, `invalid-environment`, `io`; nothing is left then
 */
export const createNetwork = (
  wish: NetworkWish,
  host: Host,
  { isDry = false, madeFor }: { isDry?: boolean; madeFor?: MadeFor } = {},
): Promise<Made> => {
  const pools = configuredPools()
  return whileLocked(LOCK, () => {
    // One whose list was lost is made anew, perhaps while containers are on it.
    const others = otherNetworks(host).filter(({ id }) => id === undefined || id !== madeFor?.id)
    if (others.some(({ name }) => name === wish.name))
      throw new TsnetError(
        'conflict',
        `there is a network ${wish.name} already; choose another name, or look at it: tsnet network inspect ${wish.name}`,
      )
    const bridge = wish.bridge === undefined ? freeBridge(wish.name, others) : checked(wish.bridge, others)
    if (wish.uplink !== undefined) checkUplink(wish.uplink, bridge, others)
    const ranges = wish.layer2
      ? []
      : rangesFor(wish, takenOn(others, { bridge: wish.bridge, name: madeFor && wish.name }), pools)
    const own = { name: wish.name, subnets: ranges.map(({ subnet }) => subnet) }
    for (const text of wish.allow ?? []) requireNetwork(text, [own, ...others])
    const list = listFor(wish, present({ bridge, ranges, created: new Date().toISOString(), for: madeFor }))
    const file = fileOf(host.confDir, wish.name)
    if (!isDry) writeList(file, list)
    return { name: wish.name, file, list }
  })
}

/** Of an entry of a network, that there is one. @throws TsnetError `invalid-config` */
function requireNetwork(text: string, networks: Parameters<typeof permissionsOf>[1]): void {
  const entry = readEntry(text)
  if (typeof entry !== 'string' && isOfNetwork(entry)) permissionsOf(entry, networks)
}

/** What was asked for first, then what is chosen. */
function rangesFor(wish: NetworkWish, taken: readonly Taken[], pools: readonly SubnetPool[]): AddressRange[] {
  for (const { subnet } of wish.ranges) requireFree(subnet, taken)
  const all = [...taken.map(({ cidr }) => cidr), ...wish.ranges.map(({ subnet }) => subnet)]
  const chosen = wish.choose.map(family => chooseSubnet(family, all, pools))
  const inOrder = [...wish.ranges, ...chosen.map(subnet => ({ subnet }))]
  // IPv4 first, as people and older runtimes expect of the addresses of a result.
  return inOrder.sort((a, b) => familyOf(a.subnet) - familyOf(b.subnet))
}

/** One that is there is adopted, if it is a bridge and no other network's. @throws TsnetError `conflict` */
function checked(name: string, others: readonly OtherNetwork[]): string {
  const owner = others.find(({ bridges }) => bridges.includes(name))
  if (owner !== undefined)
    throw new TsnetError('conflict', `--interface-name: ${name} is the bridge of network ${owner.name}`)
  using nl = openNetlink()
  const link = findLink(nl, { name })
  if (link === undefined || link.kind === 'bridge') return name
  throw new TsnetError('conflict', `--interface-name: ${name} is there already, and is no bridge`)
}

/** It is plugged in with the first container; what is against that by now is said at once. @throws TsnetError `conflict` */
function checkUplink(name: string, bridge: string, others: readonly OtherNetwork[]): void {
  const owner = others.find(({ uplinks }) => uplinks.includes(name))
  using nl = openNetlink()
  const obstacle =
    owner === undefined
      ? uplinkObstacle(nl, name, findLink(nl, { name: bridge }))
      : `it is that of network ${owner.name}, and an interface is a port of one bridge`
  if (obstacle !== undefined) throw new TsnetError('conflict', `--uplink: ${name}: ${obstacle}`)
}

function freeBridge(network: string, others: readonly OtherNetwork[]): string {
  using nl = openNetlink()
  const names = bridgeNames(network)
  const isFree = (name: string) =>
    !others.some(({ bridges }) => bridges.includes(name)) && findLink(nl, { name }) === undefined
  const free = names.find(isFree)
  if (free !== undefined) return free
  throw new TsnetError(
    'conflict',
    `${names.join(', ')}: interfaces or bridges of other networks have these names; choose one with --interface-name`,
  )
}
