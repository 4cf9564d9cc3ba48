/**
 * What a container with a list has reached, and whom it addressed in vain, as the kernel counts it.
 *
 *     an entry ─▶ the elements of the sets that hold its addresses ─▶ their packets
 *     the sets that rules fill with what is dropped ─▶ whom, how often, and when last
 *
 * Entries that overlap or touch are one element: what is counted of it is counted for each of them, and said to be shared. Each of
 * names has a counter of its own; connections that go on when their address is gone are counted together.
 * Numbers begin anew with the list: when the container is attached, and when what others took away is put back.
 */

import { type Ip, ipFromBytes } from '../../model/address/address.ts'
import type { NamePattern } from '../../model/address/name-pattern.ts'
import { byEntry, isOfNames, type OfEntry, type Permission } from '../../model/address/reach.ts'
import { type ListedRule, listElements, listRules, targetOf } from '../../netfilter/list.ts'
import { hasNfTables, netfilterHere } from '../../netfilter/netfilter.ts'
import { keyText } from '../../netfilter/set-types.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { addressCounted, hostCounted, namesCounted, packetsOf } from './counted.ts'
import { numberIn } from './counters.ts'
import { BRIDGED, chainOf, DENIED, linkOf, meantBy, type ReachGuard, ROUTED, routedAllow } from './plan.ts'
import { rangeOf } from './ranges.ts'
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
  /** Packets of connections that a name began whose address it has no more. */
  kept: number
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

/** Addresses of names that may be reached now, each with the entry that it counts for. @throws NetlinkError */
export function readNamed(owner: string, allow: readonly Permission[]): Map<Ip, NamePattern> {
  const named = allow.filter(isOfNames)
  if (named.length === 0 || !hasNfTables()) return new Map()
  const nl = netfilterHere()
  return new Map(
    ([4, 6] as const).flatMap(family =>
      ['named', 'ports'].flatMap(what =>
        listElements(nl, ROUTED, `${what}${family}-${owner}`).flatMap(
          ({ key, object = '' }): [Ip, NamePattern][] => {
            const entry = named[numberIn(object)]
            return entry === undefined ? [] : [[ipFromBytes(key.slice(0, family === 4 ? 4 : 16)), entry.to]]
          },
        ),
      ),
    ),
  )
}

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
    used: usedOf(nl, guard, routed),
    kept: packetsOf(routed, isOfKept),
    refused: refusedOf(nl, guard.owner),
    dropped: droppedBy(rules),
  }
}

const isOfKept = ({ expressions }: ListedRule): boolean =>
  expressions.some(({ lookup }) => /^kept[46]-/.test(lookup?.set ?? ''))

function usedOf(nl: Netlink, guard: ReachGuard, routed: readonly ListedRule[]): Used[] {
  const { owner, resolvers, reach } = guard
  const means = (each: Permission) => meantBy(each, resolvers)
  const finds = [
    ...([4, 6] as const).flatMap(family => [
      addressCounted(nl, ROUTED, owner, family, routedAllow(guard)),
      addressCounted(nl, BRIDGED, owner, family, reach.allow, linkOf(guard)?.map(rangeOf)),
    ]),
    hostCounted(nl, owner, routed),
    namesCounted(nl, owner, reach.allow),
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
