/** What the kernel counts of a list, and which of it an entry means. Each is built once, and then asked for every entry. */

import { type Family, familyOf } from '../../model/address/address.ts'
import { isOfAddresses, isOfNames, type Permission } from '../../model/address/reach.ts'
import { type ListedRule, listElements } from '../../netfilter/list.ts'
import type { TableRef } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { counterName, countersOf, digestOfNames } from './counters.ts'
import { ROUTED } from './plan.ts'
import {
  addressElements,
  allowedOf,
  portElements,
  type Range,
  type Service,
  serviceElements,
} from './ranges.ts'

/** What is counted together. */
export interface Counted {
  packets: number
  /** How many entries mean some of it. */
  entries: number
}

export type Find = (permission: Permission) => Counted[]

export const packetsOf = (rules: readonly ListedRule[], isMeant: (rule: ListedRule) => boolean): number =>
  rules
    .filter(isMeant)
    .flatMap(({ expressions }) => expressions)
    .reduce((sum, { counter }) => sum + Number(counter?.packets ?? 0n), 0)

/** Of a set: what was counted by the key at which each element begins. */
function packetsByKey(nl: Netlink, table: TableRef, set: string): Map<string, number> {
  const all = listElements(nl, table, set)
  return new Map(all.flatMap(({ key, packets }) => (packets === undefined ? [] : [[hex(key), packets]])))
}

const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex')

export function addressCounted(
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
  const all = services.map(service => ({
    ...service,
    counted: service.to.map(range =>
      count(ofServices.get(hex(serviceElements([{ ...service, to: [range] }], family)[0]?.key))),
    ),
  }))
  const protocols = new Set(all.map(({ protocol }) => protocol))
  const pieces = new Map([...protocols].map(each => [each, all.filter(({ protocol }) => protocol === each)]))
  return permission => {
    if (!isOfAddresses(permission) || familyOf(permission.to) !== family) return []
    const own = allowedOf([permission], family, within)
    return [
      ...own.whole.flatMap(range => among(whole, range).flatMap(i => wholeCounted[i] ?? [])),
      ...own.services.flatMap(wanted =>
        piecesOf(pieces.get(wanted.protocol) ?? [], wanted).flatMap(({ to, counted }) =>
          wanted.to.flatMap(range => among(to, range).flatMap(i => counted[i] ?? [])),
        ),
      ),
    ]
  }
}

/** Those that lie within some ports. @param pieces in order, apart from each other */
function piecesOf<P extends Pick<Service, 'first' | 'last'>>(
  pieces: readonly P[],
  { first, last }: Pick<Service, 'first' | 'last'>,
): P[] {
  const begin = firstOf(pieces, piece => piece.first >= first)
  let end = begin
  while ((pieces[end]?.last ?? Number.POSITIVE_INFINITY) <= last) end++
  return pieces.slice(begin, end)
}

/** Which of some ranges share something with one. @param ranges in order, apart from each other */
function among(ranges: readonly Range[], { first, last }: Range): number[] {
  const found: number[] = []
  const begin = firstOf(ranges, range => range.last >= first)
  for (let i = begin; i < ranges.length && (ranges[i]?.first ?? 0n) <= last; i++) found.push(i)
  return found
}

/** The first for which something is so, and for all that follow. */
function firstOf<T>(all: readonly T[], isSo: (one: T) => boolean): number {
  let [low, high] = [0, all.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (isSo(all[middle] as T)) high = middle
    else low = middle + 1
  }
  return low
}

/** Of names: each entry has a counter. */
export function namesCounted(nl: Netlink, owner: string, allow: readonly Permission[]): Find {
  const digest = digestOfNames(allow)
  if (digest === undefined) return () => []
  const counters = countersOf(nl, ROUTED, owner, digest)
  const counted = new Map<Permission, Counted>(
    allow
      .filter(isOfNames)
      .map((each, number) => [
        each,
        { packets: counters.get(counterName(owner, digest, number)) ?? 0, entries: 0 },
      ]),
  )
  return permission => {
    const own = counted.get(permission)
    return own === undefined ? [] : [own]
  }
}

/** Of the host's own addresses: a set of ports, or one rule for all of them. */
export function hostCounted(nl: Netlink, owner: string, routed: readonly ListedRule[]): Find {
  const isHost = ({ expressions }: ListedRule) =>
    expressions.some(({ fib }) => fib !== undefined) &&
    expressions.some(({ counter }) => counter !== undefined) &&
    expressions.some(({ immediate }) => immediate?.data?.verdict?.code === 'accept')
  const whole: Counted = { packets: packetsOf(routed, isHost), entries: 0 }
  const hasWhole = routed.some(isHost)
  const parts = listElements(nl, ROUTED, `host-${owner}`)
    .map(({ key, keyEnd, packets = 0 }) => ({
      key: hex(key),
      keyEnd: hex(keyEnd),
      counted: { packets, entries: 0 } satisfies Counted,
    }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  return permission => {
    if (permission.to !== 'host') return []
    if (hasWhole) return [whole]
    const [own] = portElements([permission])
    if (own === undefined) return []
    const part = parts[firstOf(parts, ({ keyEnd }) => keyEnd >= hex(own.keyEnd))]
    return part !== undefined && part.key <= hex(own.key) ? [part.counted] : []
  }
}
