/** What the kernel has to hold so that a container reaches whom it may, as plain values. */

import { type Cidr, familyOf, type Ip, networkOf } from '../../model/address/address.ts'
import { isOfNames, type Permission, type Reach } from '../../model/address/reach.ts'
import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import { present } from '../../model/present.ts'
import type { SetElement } from '../../netfilter/elements.ts'
import { compileRule } from '../../netfilter/language/language.ts'
import { keyBytes, keyText } from '../../netfilter/set-types.ts'
import type { ChainPlan, SetPlan, TableRef, Transaction } from '../../netfilter/transaction.ts'
import { isOwnerTag } from '../rules.ts'
import { belongingsText } from './belongings.ts'
import { counterNames, digestOfNames } from './counters.ts'
import { filledMaps } from './names.ts'
import { PORTED, PORTED_ELEMENTS } from './ported.ts'
import {
  addressElements,
  allowedOf,
  PORTS,
  portElements,
  rangeOf,
  serviceElements,
  serviceType,
} from './ranges.ts'
import { refusedSets } from './refused.ts'

/** What a container may reach, and by what it is known. */
export interface ReachGuard {
  /** ownerTag of the attachment. */
  owner: string
  /** The host's end of its veth. */
  hostInterface: string
  /** Interfaces of the host at which its packets arrive that are routed: the bridge, or one in a VLAN of it. */
  gateways: string[]
  mac: string
  /** Its addresses with the prefix length of their subnets. */
  addresses: Cidr[]
  /** Where it asks for names. */
  resolvers: Ip[]
  /** Strangers are plugged into its bridge, so that what lies beyond its subnets may be reached there. */
  isOnWire: boolean
  reach: Reach
}

/** What is routed, or for the host; and what goes from one port of a bridge to another. */
export const ROUTED: TableRef = { family: 'inet', name: 'tsnet-reach' }
export const BRIDGED: TableRef = { family: 'bridge', name: 'tsnet-reach' }

/** From a container to its chain. */
export const CONTAINERS = 'containers'

export interface Base {
  table: TableRef
  hook: NonNullable<ChainPlan['hook']>
  map: SetPlan
  look: string
}

/** Of each table: where all packets pass, and the map from a container to its chain. */
export const BASE = [
  {
    table: ROUTED,
    hook: { type: 'filter', at: 'prerouting', priority: -150 },
    map: { name: CONTAINERS, type: 'ifname . ether_addr', data: 'verdict' },
    look: 'iifname . ether saddr vmap @containers',
  },
  {
    table: BRIDGED,
    hook: { type: 'filter', at: 'forward', priority: -200 },
    map: { name: CONTAINERS, type: 'ifname', data: 'verdict' },
    look: 'iifname vmap @containers',
  },
] as const satisfies Base[]

/** The chain at the hook, and the one at which every list ends: so its uses tell whether anybody has a list. */
export const FROM = 'senders'
export const DENIED = 'denied'

/** Names of the sets that a container may have in either table. */
export const setNames = (owner: string): string[] => [
  ...['to4', 'to6', 'at4', 'at6', 'host', 'named4', 'named6', 'ports4', 'ports6', 'kept4', 'kept6'].map(
    what => `${what}-${owner}`,
  ),
  ...refusedSets(owner).map(({ plan }) => plan.name),
]

/** True for one of setNames that fills as names are told. */
export const isOfNamesSet = (name: string): boolean => /^(named|ports|kept)[46]-/.test(name)

/** @throws TsnetError `internal` */
export function chainOf(owner: string): string {
  if (isOwnerTag(owner)) return `list-${owner}`
  throw new TsnetError('internal', `owner tag ${shown(owner)} is not 16 hex digits`)
}

/** What one table has of a container. */
export interface TablePlan {
  table: TableRef
  /** Of the keys that lead to it. */
  type: string
  chain: string
  rules: string[]
  /** `elements` absent: others fill it. */
  sets: { plan: SetPlan; elements?: SetElement[] }[]
  /** Of its entries of names. */
  counters: string[]
  /** Of its names. */
  digest?: string
  /** Leads its packets to its chain. */
  entries: SetElement[]
}

/** @throws TsnetError `invalid-config` */
export const planReach = (guard: ReachGuard): TablePlan[] => [routedOf(guard), bridgedOf(guard)]

/** What leads a container's packets to its chain, in the order of BASE. */
export function entriesOf({
  owner,
  gateways,
  mac,
  hostInterface,
}: ReachGuard): [routed: SetElement[], bridged: SetElement[]] {
  const verdict = { code: 'goto', chain: chainOf(owner) } as const
  const [{ map: routed }, { map: bridged }] = BASE
  return [
    gateways.map(name => ({ key: keyBytes(routed.type, `"${name}" . ${mac}`), verdict })),
    [{ key: keyBytes(bridged.type, `"${hostInterface}"`), verdict }],
  ]
}

function routedOf(guard: ReachGuard): TablePlan {
  const { owner } = guard
  const chain = chainOf(owner)
  const allow = routedAllow(guard)
  const host = allow.filter(({ to }) => to === 'host')
  const ports = host.some(({ service }) => service === undefined) ? [] : portElements(host)
  const hostSet = { plan: { name: `host-${owner}`, type: PORTS, ...COUNTED }, elements: ports }
  const sets = setsOf(owner, allow)
  const filled = FAMILIES.flatMap(family => filledMaps(owner, allow, family))
  const refused = refusedSets(owner)
  const digest = digestOfNames(allow)
  return {
    table: ROUTED,
    type: BASE[0].map.type,
    chain,
    rules: [
      // Answers to whoever came to it. What it began itself is looked up with each packet: it ends with its permission.
      'ct state established ct direction reply accept',
      'meta l4proto icmp ct state related accept',
      'meta l4proto ipv6-icmp ct state related accept',
      ...neighbourDiscovery(guard.addresses),
      ...sets.map(({ rule }) => rule),
      ...(ports.length > 0
        ? [`fib daddr type local meta l4proto . th dport @host-${owner} accept`]
        : host.length > 0
          ? ['fib daddr type local counter accept']
          : []),
      // A name that leads to the host itself is allowed nothing by that.
      ...(filled.length > 0
        ? [...refused.map(({ rule }) => `${OWN} ${rule}`), `${OWN} counter goto ${DENIED}`]
        : []),
      ...filled.flatMap(({ rules }) => rules),
      ...refused.map(({ rule }) => rule),
      // Lists that differ in their names alone have the same rules, but for this.
      `counter goto ${DENIED}${digest === undefined ? '' : ` comment "names ${digest}"`}`,
    ],
    sets: [...sets, ...(ports.length > 0 ? [hostSet] : []), ...filled, ...refused],
    counters: counterNames(owner, allow),
    ...present({ digest }),
    entries: entriesOf(guard)[0],
  }
}

/** What is routed or for the host: all of a list as addresses, and where names are asked for that it has. */
export const routedAllow = ({ reach, resolvers }: Pick<ReachGuard, 'reach' | 'resolvers'>): Permission[] => [
  ...reach.allow.flatMap(each => meantBy(each, resolvers)),
  ...(reach.allow.some(isOfNames) ? meantBy({ to: 'dns' }, resolvers) : []),
]

/** An entry as addresses: of `dns`, where the container asks. */
export const meantBy = (permission: Permission, resolvers: readonly Ip[]): Permission[] =>
  permission.to === 'dns'
    ? resolvers.flatMap(ip =>
        (['udp', 'tcp'] as const).map(protocol => ({
          to: `${ip}/${familyOf(ip) === 4 ? 32 : 128}` as Cidr,
          service: { protocol, first: 53, last: 53 },
        })),
      )
    : [permission]

/** The host takes in itself what is for its subnets' broadcast, and for their routers' anycast (RFC 4291, 2.6.1), too. */
const OWN = 'fib daddr type { local, broadcast, anycast, multicast }'

const COUNTED = { isInterval: true, isCounted: true } as const

/** The addresses that may be on the container's own link; undefined where any may. */
export const linkOf = ({ isOnWire, addresses }: ReachGuard): Cidr[] | undefined =>
  isOnWire ? undefined : addresses.map(networkOf)

function bridgedOf(guard: ReachGuard): TablePlan {
  const { owner, addresses, reach } = guard
  const chain = chainOf(owner)
  // Names are told by a gateway of ours: what they lead to is routed.
  const sets = setsOf(owner, reach.allow, linkOf(guard))
  const refused = refusedSets(owner)
  return {
    table: BRIDGED,
    type: BASE[1].map.type,
    chain,
    rules: [
      'ether type arp accept',
      ...neighbourDiscovery(addresses),
      // Whoever began is not known here: what begins nothing is let through.
      'meta l4proto tcp (tcp flags & 0x12) != 0x02 accept',
      'icmp type { 0, 3, 11, 12 } accept',
      'icmpv6 type { 1, 2, 3, 4, 129 } accept',
      ...sets.map(({ rule }) => rule),
      ...refused.map(({ rule }) => rule),
      `counter goto ${DENIED}`,
    ],
    sets: [...sets, ...refused],
    counters: [],
    entries: entriesOf(guard)[1],
  }
}

/** Only on its own link: hosts forward such messages to others as they do any. */
function neighbourDiscovery(addresses: readonly Cidr[]): string[] {
  const subnets = [...new Set(addresses.filter(each => familyOf(each) === 6).map(networkOf))]
  if (subnets.length === 0) return []
  // Solicitations of routers and neighbours, advertisements of neighbours; who listens to which group.
  return [
    `icmpv6 type { 131, 132, 133, 135, 136, 143 } ip6 daddr { fe80::/10, ff02::/16, ${subnets.join(', ')} } accept`,
  ]
}

const FAMILIES = [4, 6] as const

type NamedSet = TablePlan['sets'][number] & { rule: string }

/** @param within absent: all addresses */
function setsOf(owner: string, allow: readonly Permission[], within?: readonly Cidr[]): NamedSet[] {
  return FAMILIES.flatMap(family => {
    const ranges = within?.filter(each => familyOf(each) === family).map(rangeOf)
    const { whole, services } = allowedOf(allow, family, ranges)
    const ip = family === 4 ? 'ip' : 'ip6'
    const [all, some] = [`to${family}-${owner}`, `at${family}-${owner}`]
    const sets: NamedSet[] = []
    if (whole.length > 0)
      sets.push({
        plan: { name: all, type: `ipv${family}_addr`, ...COUNTED },
        elements: addressElements(whole, family),
        rule: `${ip} daddr @${all} accept`,
      })
    if (services.length > 0)
      sets.push({
        plan: { name: some, type: serviceType(family), ...COUNTED },
        elements: serviceElements(services, family),
        rule: `${ip} daddr . meta l4proto . th dport @${some} accept`,
      })
    return sets
  })
}

/** Makes what all share in a table; what is there of it is as it shall be afterwards. */
export function addBase(tx: Transaction, { table, hook, map, look }: Base): void {
  tx.addTable(table).addSet(table, map)
  tx.addSet(table, PORTED).flushSet(table, PORTED.name).addElements(table, PORTED.name, PORTED_ELEMENTS)
  tx.addChain(table, { name: DENIED }).flushChain(table, DENIED)
  tx.addRule(table, DENIED, compileRule(table.family, 'drop'))
  tx.addChain(table, { name: FROM, hook }).flushChain(table, FROM)
  tx.addRule(table, FROM, compileRule(table.family, look))
}

/** Adds what a container has. */
export function addLists(tx: Transaction, plans: readonly TablePlan[]): void {
  for (const { table, type, chain, rules, sets, counters, digest, entries } of plans) {
    for (const name of counters) tx.addCounter(table, name)
    for (const { plan, elements } of sets) {
      tx.addSet(table, plan)
      if (elements !== undefined) tx.addElements(table, plan.name, elements)
    }
    const keys = entries.map(({ key }) => keyText(type, key))
    const names = sets.map(({ plan: { name } }) => name)
    const comment = belongingsText({ keys, sets: names, ...present({ digest }) })
    tx.addChain(table, { name: chain, ...present({ comment }) })
    for (const rule of rules) tx.addRule(table, chain, compileRule(table.family, rule))
    tx.createElements(table, CONTAINERS, entries)
  }
}
