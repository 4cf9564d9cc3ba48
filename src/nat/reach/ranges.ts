/**
 * Permissions as elements of sets with intervals, which must not overlap: addresses and ports are cut where others begin,
 * and joined where they meet. So a list of ten thousand is looked up as quickly as one of ten.
 */

import {
  bitsOf,
  bytesAt,
  type Cidr,
  type Family,
  familyOf,
  type Ip,
  ipOf,
  lengthOf,
  numberOf,
} from '../../model/address/address.ts'
import { FLOOR, isOfAddresses, isOfFloor, type Permission } from '../../model/address/reach.ts'
import { TsnetError } from '../../model/errors.ts'
import { type Protocol, protocolNumbers } from '../../model/port-mapping.ts'
import type { SetElement } from '../../netfilter/elements.ts'
import { keyBytes } from '../../netfilter/set-types.ts'
import { concatenate } from '../../netlink/codecs.ts'

/** Addresses as numbers, or ports; both ends are in it. */
export interface Range {
  first: bigint
  last: bigint
}

/** Addresses of one family at which some ports of a protocol may be reached. */
export interface Service {
  protocol: Protocol
  first: number
  last: number
  to: Range[]
}

/** Of one family. */
export interface Allowed {
  /** Whole addresses. */
  whole: Range[]
  services: Service[]
}

/** In order, none that overlaps or touches another. */
export function joined(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => (a.first < b.first ? -1 : Number(a.first > b.first)))
  const made: Range[] = []
  for (const { first, last } of sorted) {
    const before = made.at(-1)
    if (before === undefined || first > before.last + 1n) made.push({ first, last })
    else if (last > before.last) before.last = last
  }
  return made
}

/** What is left of a range without others. @param holes as joined gives them */
function without({ first, last }: Range, holes: readonly Range[]): Range[] {
  const left: Range[] = []
  let from = first
  for (const hole of holes) {
    if (hole.last < from || hole.first > last) continue
    if (hole.first > from) left.push({ first: from, last: hole.first - 1n })
    from = hole.last + 1n
  }
  return from > last ? left : [...left, { first: from, last }]
}

/** @param cidr without host bits */
export function rangeOf(cidr: Cidr): Range {
  const first = numberOf(ipOf(cidr))
  return { first, last: first | ((1n << BigInt(bitsOf(familyOf(cidr)) - lengthOf(cidr))) - 1n) }
}

const floorOf = (family: Family): Range[] =>
  joined(FLOOR.filter(each => familyOf(each) === family).map(rangeOf))
const floors = { 4: floorOf(4), 6: floorOf(6) }

/** Of the addresses that permissions of one family mean, only those within these; absent: all. */
export function allowedOf(
  permissions: readonly Permission[],
  family: Family,
  within?: readonly Range[],
): Allowed {
  const floor = floors[family]
  const outside = within && gaps(within, family)
  const meant: { range: Range; service: Permission['service'] }[] = []
  for (const { to, service } of permissions.filter(isOfAddresses)) {
    if (familyOf(to) !== family) continue
    const all = rangeOf(to)
    const cut = floor.filter(({ first, last }) => first <= all.last && last >= all.first)
    for (const range of without(all, cut.length > 0 && isOfFloor(to) ? [] : cut))
      for (const each of outside === undefined ? [range] : without(range, outside))
        meant.push({ range: each, service })
  }
  return {
    whole: joined(meant.flatMap(({ range, service }) => (service === undefined ? [range] : []))),
    services: (['tcp', 'udp', 'sctp'] as const).flatMap(protocol =>
      servicesOf(
        protocol,
        meant.flatMap(({ range, service }) =>
          service?.protocol === protocol
            ? [{ range, first: BigInt(service.first), last: BigInt(service.last) }]
            : [],
        ),
      ),
    ),
  }
}

/** Whether an address is among them, at a port of a protocol by its number. */
export function includes({ whole, services }: Allowed, to: Ip, protocol: number, port: number): boolean {
  const number = numberOf(to)
  const has = ({ first, last }: Range) => first <= number && number <= last
  return (
    whole.some(has) ||
    services.some(
      each =>
        protocolNumbers[each.protocol] === protocol &&
        each.first <= port &&
        port <= each.last &&
        each.to.some(has),
    )
  )
}

/** All addresses but these. */
const gaps = (ranges: readonly Range[], family: Family): Range[] =>
  without({ first: 0n, last: (1n << BigInt(bitsOf(family))) - 1n }, joined(ranges))

/** More is no list that somebody wrote: ranges of ports that cross each other grow with the square. */
const ELEMENTS_MAX = 262_144

interface Meant extends Range {
  range: Range
}

/** Ports are cut where any range of ports begins or ends, so that what is between has the same addresses. */
function servicesOf(protocol: Protocol, meant: readonly Meant[]): Service[] {
  const same = new Map<string, Meant & { to: Range[] }>()
  for (const each of meant) {
    const group = same.get(`${each.first}-${each.last}`)
    if (group === undefined) same.set(`${each.first}-${each.last}`, { ...each, to: [each.range] })
    else group.to.push(each.range)
  }
  const groups = [...same.values()]
  const cuts = [...new Set(groups.flatMap(({ first, last }) => [first, last + 1n]))].sort((a, b) =>
    a < b ? -1 : 1,
  )
  const begins = new Map(cuts.map((cut, i) => [cut, i]))
  /** By the cut at which they begin, what is reached at the ports up to the next. */
  const pieces: Range[][] = cuts.map(() => [])
  let count = 0
  for (const { first, last, to } of groups) {
    const end = begins.get(last + 1n) ?? 0
    for (let i = begins.get(first) ?? 0; i < end; i++) {
      count += to.length
      if (count > ELEMENTS_MAX) throw tooMany()
      for (const range of to) pieces[i]?.push(range)
    }
  }
  return pieces.flatMap((to, i) =>
    to.length === 0
      ? []
      : [{ protocol, first: Number(cuts[i]), last: Number(cuts[i + 1]) - 1, to: joined(to) }],
  )
}

const tooMany = (): TsnetError =>
  new TsnetError(
    'invalid-config',
    `egress.allow: ranges of ports that cross each other make more than ${ELEMENTS_MAX} entries of it`,
    { details: 'allow whole addresses, or the same ports for many of them' },
  )

/** Elements of a set of addresses. A range ends where the first that is not in it begins. */
export function addressElements(ranges: readonly Range[], family: Family): SetElement[] {
  const end = (1n << BigInt(bitsOf(family))) - 1n
  const at = (number: bigint): Uint8Array => bytesAt(number, family)
  return ranges.flatMap(({ first, last }) => [
    { key: at(first) },
    ...(last === end ? [] : [{ key: at(last + 1n), isEnd: true }]),
  ])
}

/** Elements of a set of addresses, protocols and ports. */
export function serviceElements(services: readonly Service[], family: Family): SetElement[] {
  return services.flatMap(({ protocol, first, last, to }) => {
    const [from, until] = [first, last].map(port => keyBytes(PORTS, `${protocol} . ${port}`))
    const at = (address: bigint, port: Uint8Array | undefined): Uint8Array =>
      concatenate([bytesAt(address, family), port ?? new Uint8Array()])
    return to.map(range => ({ key: at(range.first, from), keyEnd: at(range.last, until) }))
  })
}

export const serviceType = (family: Family): string => `ipv${family}_addr . inet_proto . inet_service`

/** Elements of a set of protocols and ports. */
export function portElements(permissions: readonly Permission[]): SetElement[] {
  const services = permissions.flatMap(({ service }) => service ?? [])
  return (['tcp', 'udp', 'sctp'] as const).flatMap(protocol =>
    joined(
      services
        .filter(each => each.protocol === protocol)
        .map(({ first, last }) => ({ first: BigInt(first), last: BigInt(last) })),
    ).map(({ first, last }) => ({
      key: keyBytes(PORTS, `${protocol} . ${first}`),
      keyEnd: keyBytes(PORTS, `${protocol} . ${last}`),
    })),
  )
}

export const PORTS = 'inet_proto . inet_service'
