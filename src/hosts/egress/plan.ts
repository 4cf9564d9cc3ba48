/** What the kernel has to hold so that a network leaves as it is said, as plain values. */

import { hostname } from 'node:os'
import { type Cidr, type Family, familyOf, type Ip, parseCidr } from '../../model/address/address.ts'
import { type LeavingOptions, prefixesOf, WAY_OUT_MARK } from '../../model/hosts/hosts.ts'
import { sha256 } from '../../model/sha256.ts'
import type { LinkRef } from '../../netlink/link/link.ts'
import type { NewRoute } from '../../netlink/route.ts'
import type { PolicyRule } from '../../netlink/rule.ts'
import {
  deviceName,
  gatewayOf,
  LAST_METRIC,
  networkIdentifier,
  type Place,
  PROTOCOL,
} from '../carrier/plan.ts'
import { hostId } from '../kept.ts'
import type { Member } from '../members.ts'

/** By whom a network leaves this host: by itself, by another one, or by none of those that are named. */
export type Exit = { kind: 'self' } | { kind: 'host'; member: Member } | { kind: 'nobody' }

type Called = Pick<Member, 'id' | 'name'>

const isCalled = (wanted: string, { id, name }: Called): boolean =>
  wanted === id || wanted.toLowerCase() === name.toLowerCase()

/** True for a name or an id of this very host. */
export const isSelf = (wanted: string): boolean => isCalled(wanted, self())

export const self = (): Called => ({ id: hostId(), name: hostname() })

/**
 * The first of the named hosts that is there. Of several hosts with one name, that of the lowest prefix.
 * @param drained ids of hosts that take nothing new
 */
export function chooseExit(
  wanted: readonly string[],
  own: Called,
  members: readonly Member[],
  drained: ReadonlySet<string> = new Set(),
): Exit {
  const there = members.filter(({ id }) => !drained.has(id)).sort((a, b) => a.number - b.number)
  for (const name of wanted) {
    if (isCalled(name, own)) return { kind: 'self' }
    const member = there.find(each => isCalled(name, each))
    if (member !== undefined) return { kind: 'host', member }
  }
  return { kind: 'nobody' }
}

/** Tables of routes have numbers of 32 bits; nobody else's begin so. */
const TABLES = 0x74000000
export const routeTableOf = (network: string): number => TABLES + networkIdentifier(network)

/** After `local` and before `main`, which is 32766. */
const NEAR_PRIORITY = 20_116
const AWAY_PRIORITY = 20_117

/** 0.0.0.0/1 and 128.0.0.0/1 together are a default route in disguise. */
const DEFAULT_LENGTH_MAX = 1

/** What has a route of its own here is near; all else is for the network's table. */
export const rulesFor = (network: string, prefixes: readonly Cidr[]): PolicyRule[] =>
  prefixes.flatMap(source => {
    const marked = { source, mark: WAY_OUT_MARK, markMask: WAY_OUT_MARK, protocol: PROTOCOL }
    return [
      { ...marked, priority: NEAR_PRIORITY, table: 254, suppressPrefixLength: DEFAULT_LENGTH_MAX },
      { ...marked, priority: AWAY_PRIORITY, table: routeTableOf(network) },
    ]
  })

const anywhere: Record<Family, Cidr> = { 4: parseCidr('0.0.0.0/0'), 6: parseCidr('::/0') }

/** By family of the network, to whom a packet is handed that is for another host; undefined: that family has no way there. */
export const gatewaysTo = (
  { layout }: Place,
  member: Member,
): { family: Family; gateway: Ip | undefined }[] =>
  prefixesOf(layout.pools, member.number).map(prefix => ({
    family: familyOf(prefix),
    gateway: gatewayOf(layout, member, prefix),
  }))

/** @param link of the carrier; absent: the gateway is a neighbour */
export function routesFor(
  place: Place,
  exit: Exit,
  otherwise: LeavingOptions['otherwise'],
  link: LinkRef | undefined,
): NewRoute[] {
  const table = routeTableOf(place.network)
  const last = (destination: Cidr): NewRoute => ({
    destination,
    type: 'unreachable',
    priority: LAST_METRIC,
    table,
    protocol: PROTOCOL,
  })
  const grounds =
    otherwise === 'own' ? [] : place.layout.pools.map(({ subnet }) => last(anywhere[familyOf(subnet)]))
  if (exit.kind !== 'host') return grounds
  const ways = gatewaysTo(place, exit.member).flatMap(({ family, gateway }): NewRoute[] =>
    gateway === undefined
      ? []
      : [
          {
            destination: anywhere[family],
            gateway,
            priority: FIRST_METRIC,
            table,
            protocol: PROTOCOL,
            ...(link !== undefined && { link, onlink: true }),
          },
        ],
  )
  return [...ways, ...grounds]
}

/** As routes are listed: 0 is another value for IPv6. */
const FIRST_METRIC = 1

export const tableName = (network: string): string => `tsnet-out-${sha256(network).slice(0, 8)}`

/** Rules of nf_tables, by chain. */
export interface Texts {
  prerouting: string[]
  postrouting: string[]
}

/**
 * Which packets leave by whom, and as whom. Answers to who came in from outside are not marked, so they go back the way that
 * the question came.
 * @param isListed this host lets those of the others leave by it
 */
export function textsFor(
  { network, layout, number }: Place,
  { bridge, addresses }: LeavingOptions,
  exit: Exit,
  isListed: boolean,
): Texts {
  const isAway = exit.kind !== 'self'
  const set = `meta mark set meta mark | ${WAY_OUT_MARK}`
  const prefixes = prefixesOf(layout.pools, number)
  const texts: Texts = { prerouting: [], postrouting: [] }
  for (const [i, { subnet }] of layout.pools.entries()) {
    const family = familyOf(subnet)
    const [ip, multicast] = family === 4 ? ['ip', '224.0.0.0/4'] : ['ip6', 'ff00::/8']
    const [within, leaves] = [`${ip} saddr ${prefixes[i]}`, `${ip} daddr != ${subnet}`]
    if (isAway) {
      texts.prerouting.push(
        `iifname "${bridge}" ${within} ct direction reply return`,
        `iifname "${bridge}" ${within} ${leaves} ${set}`,
      )
      // Their way back, for whoever looks whether there is one (rp_filter).
      if (layout.carrier === 'vxlan')
        texts.prerouting.push(
          `iifname "${deviceName(network)}" ${ip} daddr ${prefixes[i]} ${ip} saddr != ${subnet} ${set}`,
        )
      const gateway =
        exit.kind === 'host'
          ? gatewaysTo({ network, layout, number, mac: '' }, exit.member)[i]?.gateway
          : undefined
      // Under their own address, or that host could not tell who they are.
      if (gateway !== undefined && familyOf(gateway) === family)
        texts.postrouting.push(`${within} ${leaves} rt ${ip} nexthop ${gateway} snat ${ip} to ${ip} saddr`)
    }
    if (isListed) {
      const address = addresses.find(each => familyOf(each) === family)
      texts.prerouting.push(
        `iifname != "${bridge}" ${ip} saddr ${subnet} ${leaves} fib daddr type != local fib saddr . iif oif exists ${set}`,
        `${ip} daddr ${subnet} ${ip} saddr != ${subnet} ct direction reply ct status snat ${set}`,
      )
      texts.postrouting.push(
        `oifname != "${bridge}" ${ip} saddr ${subnet} ${leaves} ${ip} daddr != ${multicast} ${address === undefined ? 'masquerade' : `snat ${ip} to ${address}`}`,
      )
    }
  }
  return texts
}
