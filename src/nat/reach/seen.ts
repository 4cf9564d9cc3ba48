/**
 * What a container with a list has reached, and whom it addressed in vain, as the kernel counts it.
 *
 *     an entry ─▶ the elements of the sets that hold its addresses ─▶ their packets
 *     the sets that rules fill with what is dropped ─▶ whom, how often, and when last
 *
 * Entries that overlap or touch are one element, and all names are one: what is counted of it is counted for each of them, and
 * said to be shared.
 * Numbers begin anew with the list: when the container is attached, and when what others took away is put back.
 */

import type { Family, Ip } from '../../model/address/address.ts'
import { byEntry, isOfNames, type OfEntry, type Permission } from '../../model/address/reach.ts'
import { type ListedRule, listElements, listRules, targetOf } from '../../netfilter/list.ts'
import { hasNfTables, netfilterHere } from '../../netfilter/netfilter.ts'
import { keyText } from '../../netfilter/set-types.ts'
import type { TableRef } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { BRIDGED, chainOf, DENIED, linkOf, meantBy, type ReachGuard, ROUTED, routedAllow } from './plan.ts'
import {
  type Allowed,
  addressElements,
  allowedOf,
  portElements,
  type Range,
  rangeOf,
  type Service,
  serviceElements,
} from './ranges.ts'
import { REMEMBERED_S, refusedSets } from './refused.ts'

/** How an entry of a list was used. */
export interface Used {
  permissions: OfEntry
  packets: number
  /** Others of the list mean some of the same, and have the same packets. */
  isShared: boolean
}

/** Whom the container addressed in vain. */
export interface Refused {
  to: Ip
  /** By its name, `icmp`, or its number. */
  protocol: string
  port?: number
  packets: number
  /** Milliseconds since the last of them. */
  agoMs: number
}

export interface ReachUse {
  /** In the order of the list. */
  used: Used[]
  /** The latest first. What is older than REMEMBERED_S, and what there was no room for, is not among them. */
  refused: Refused[]
  /** All packets that were dropped since the list was made. */
  dropped: number
}

/** Packets of a container that its list has dropped; undefined where the kernel has no such list. @throws NetlinkError */
export function countDropped(owner: string): number | undefined {
  if (!hasNfTables()) return undefined
  const nl = netfilterHere()
  const rules = rulesOf(nl, owner).flat()
  return rules.length === 0 ? undefined : droppedBy(rules)
}

/** As ReachUse has them. @throws NetlinkError */
export const readRefused = (owner: string): Refused[] =>
  hasNfTables() ? refusedOf(netfilterHere(), owner) : []

const rulesOf = (nl: Netlink, owner: string): [routed: ListedRule[], bridged: ListedRule[]] => {
  const chain = chainOf(owner)
  return [listRules(nl, { table: ROUTED, chain }), listRules(nl, { table: BRIDGED, chain })]
}

const droppedBy = (rules: readonly ListedRule[]): number =>
  packetsOf(rules, rule => targetOf(rule) === DENIED)

/** @returns undefined where the kernel has no such list. @throws NetlinkError */
export function readReachUse(guard: ReachGuard): ReachUse | undefined {
  if (!hasNfTables()) return undefined
  const nl = netfilterHere()
  const [routed, bridged] = rulesOf(nl, guard.owner)
  const rules = [...routed, ...bridged]
  if (rules.length === 0) return undefined
  return {
    used: usedOf(nl, guard, { routed, bridged }),
    refused: refusedOf(nl, guard.owner),
    dropped: droppedBy(rules),
  }
}

const packetsOf = (rules: readonly ListedRule[], isMeant: (rule: ListedRule) => boolean): number =>
  rules
    .filter(isMeant)
    .flatMap(({ expressions }) => expressions)
    .reduce((sum, { counter }) => sum + Number(counter?.packets ?? 0n), 0)

/** What is counted together. */
interface Counted {
  packets: number
  /** How many entries mean some of it. */
  entries: number
}

type Find = (permission: Permission) => Counted[]

function usedOf(
  nl: Netlink,
  guard: ReachGuard,
  rules: Record<'routed' | 'bridged', readonly ListedRule[]>,
): Used[] {
  const { owner, resolvers, reach } = guard
  const means = (each: Permission) => meantBy(each, resolvers)
  const finds = [
    ...([4, 6] as const).flatMap(family => [
      addressCounted(nl, ROUTED, owner, family, routedAllow(guard)),
      addressCounted(nl, BRIDGED, owner, family, reach.allow, linkOf(guard)?.map(rangeOf)),
    ]),
    hostCounted(nl, owner, rules.routed),
    namesCounted([...rules.routed, ...rules.bridged]),
  ]
  const found = byEntry(reach.allow).map(permissions => {
    const meant = permissions.flatMap(means)
    const counted = [...new Set(meant.flatMap(each => finds.flatMap(find => find(each))))]
    for (const each of counted) each.entries++
    return { permissions, counted }
  })
  return found.map(({ permissions, counted }) => ({
    permissions,
    packets: counted.reduce((sum, { packets }) => sum + packets, 0),
    isShared: counted.some(({ entries }) => entries > 1),
  }))
}

/** Of a set: what was counted by the key at which each element begins. */
function packetsByKey(nl: Netlink, table: TableRef, set: string): Map<string, number> {
  const all = listElements(nl, table, set)
  return new Map(all.flatMap(({ key, packets }) => (packets === undefined ? [] : [[hex(key), packets]])))
}

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex')

function addressCounted(
  nl: Netlink,
  table: TableRef,
  owner: string,
  family: Family,
  allow: readonly Permission[],
  within?: readonly Range[],
): Find {
  const { whole, services } = allowedOf(allow, family, within)
  const ofWhole = packetsByKey(nl, table, `to${family}-${owner}`)
  const ofServices = packetsByKey(nl, table, `at${family}-${owner}`)
  const count = (packets: number | undefined): Counted => ({ packets: packets ?? 0, entries: 0 })
  const wholeCounted = whole.map(range => count(ofWhole.get(hex(addressElements([range], family)[0]?.key))))
  const serviceCounted = services.map(service =>
    service.to.map(range =>
      count(ofServices.get(hex(serviceElements([{ ...service, to: [range] }], family)[0]?.key))),
    ),
  )
  return permission => {
    const own: Allowed = allowedOf([permission], family, within)
    return [
      ...own.whole.flatMap(range => among(whole, range).flatMap(i => wholeCounted[i] ?? [])),
      ...own.services.flatMap(wanted =>
        services.flatMap((service, i) =>
          isWithin(service, wanted)
            ? wanted.to.flatMap(range => among(service.to, range).flatMap(j => serviceCounted[i]?.[j] ?? []))
            : [],
        ),
      ),
    ]
  }
}

const isWithin = (piece: Service, { protocol, first, last }: Service): boolean =>
  piece.protocol === protocol && piece.first >= first && piece.last <= last

/** Which of some ranges share something with one. @param ranges in order, apart from each other */
function among(ranges: readonly Range[], { first, last }: Range): number[] {
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((ranges[middle]?.last ?? 0n) < first) low = middle + 1
    else high = middle
  }
  const found: number[] = []
  for (let i = low; i < ranges.length && (ranges[i]?.first ?? 0n) <= last; i++) found.push(i)
  return found
}

/** Of names: whose an address is, nobody knows once it is told, so all are counted together. */
function namesCounted(rules: readonly ListedRule[]): Find {
  const isOfName = ({ expressions }: ListedRule) =>
    expressions.some(({ lookup }) => /^(named|ports|kept)[46]-/.test(lookup?.set ?? ''))
  const counted: Counted = { packets: packetsOf(rules, isOfName), entries: 0 }
  return permission => (isOfNames(permission) ? [counted] : [])
}

/** Of the host's own addresses: a set of ports, or one rule for all of them. */
function hostCounted(nl: Netlink, owner: string, routed: readonly ListedRule[]): Find {
  const isHost = ({ expressions }: ListedRule) =>
    expressions.some(({ fib }) => fib !== undefined) &&
    expressions.some(({ counter }) => counter !== undefined) &&
    expressions.some(({ immediate }) => immediate?.data?.verdict?.code === 'accept')
  const whole: Counted = { packets: packetsOf(routed, isHost), entries: 0 }
  const hasWhole = routed.some(isHost)
  const parts = listElements(nl, ROUTED, `host-${owner}`).map(({ key, keyEnd, packets = 0 }) => ({
    key: hex(key),
    keyEnd: hex(keyEnd),
    counted: { packets, entries: 0 } satisfies Counted,
  }))
  return permission => {
    if (permission.to !== 'host') return []
    if (hasWhole) return [whole]
    const [own] = portElements([permission])
    return own === undefined
      ? []
      : parts
          .filter(({ key, keyEnd }) => key <= hex(own.key) && keyEnd >= hex(own.keyEnd))
          .map(each => each.counted)
  }
}

function refusedOf(nl: Netlink, owner: string): Refused[] {
  const found = new Map<string, Refused>()
  for (const { plan } of refusedSets(owner))
    for (const { key, packets = 0, expiresMs = 0 } of [ROUTED, BRIDGED].flatMap(table =>
      listElements(nl, table, plan.name),
    )) {
      const words = keyText(plan.type, key)
      const [to, protocol = '', port] = words.split(' . ')
      const agoMs = Math.max(1000 * REMEMBERED_S - expiresMs, 0)
      const other = found.get(words)
      found.set(words, {
        to: to as Ip,
        protocol,
        ...(port !== undefined && { port: Number(port) }),
        packets: packets + (other?.packets ?? 0),
        agoMs: Math.min(agoMs, other?.agoMs ?? agoMs),
      })
    }
  return [...found.values()].sort((a, b) => a.agoMs - b.agoMs)
}
