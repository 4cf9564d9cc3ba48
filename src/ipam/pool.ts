/**
 * From the ranges of a configuration to a pool whose every value is filled in and checked, with
 * host-local's rules and words.
 */

import {
  bitsOf,
  type Cidr,
  contains,
  familyOf,
  type Ip,
  ipOf,
  lastOf,
  lengthOf,
  networkOf,
  numberOf,
  overlaps,
  stepFrom,
} from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { AddressRange } from '../model/network.ts'

/** Addresses from `start` to `end`, both included; the gateway may lie between and is never given out. */
export interface PoolRange {
  subnet: Cidr
  start: Ip
  end: Ip
  gateway: Ip
}

/** Range sets; an attachment gets one address from each. Within a set all are of one family. */
export type Pool = PoolRange[][]

/** IPv4-compatible and IPv4-mapped addresses: they have two texts, and no place on a wire. */
const embedded = ['::/96', '::ffff:0:0/96'] as Cidr[]

const invalid = (message: string) => new TsnetError('invalid-config', message)

/**
 * Fills in what the configuration leaves out, and checks all of it.
 * @throws TsnetError `invalid-config` with host-local's text
 */
export function normalise(ranges: AddressRange[][]): Pool {
  if (ranges.length === 0) throw invalid('ipam: no IP ranges specified')
  const pool = ranges.map((set, index) => normaliseSet(set, index))
  pool.forEach((set, i) => {
    pool.slice(i + 1).forEach((other, j) => {
      if (set.some(a => other.some(b => overlap(a, b)))) {
        throw invalid(`ipam.ranges: range set ${i} overlaps with ${i + 1 + j}`)
      }
    })
  })
  return pool
}

function normaliseSet(set: AddressRange[], index: number): PoolRange[] {
  const refuse = (text: string) => invalid(`ipam.ranges: invalid range set ${index}: ${text}`)
  if (set.length === 0) throw refuse('empty range set')
  const filled = set.map(range => fill(range, refuse))
  filled.forEach((range, i) => {
    for (const other of filled.slice(i + 1)) {
      if (familyOf(range.subnet) !== familyOf(other.subnet)) throw refuse('mixed address families')
      if (overlap(range, other)) throw refuse(`subnets ${nameOf(range)} and ${nameOf(other)} overlap`)
    }
  })
  return filled
}

function fill({ subnet, rangeStart, rangeEnd, gateway }: AddressRange, refuse: (text: string) => TsnetError) {
  const family = familyOf(subnet)
  if (lengthOf(subnet) > bitsOf(family) - 2) throw refuse(`Network ${subnet} too small to allocate from`)
  if (embedded.some(prefix => overlaps(subnet, prefix))) {
    throw refuse(`Network ${subnet} holds IPv4 addresses in IPv6 form (RFC 4291, 2.5.5)`)
  }
  const network = networkOf(subnet)
  if (network !== subnet) {
    const length = `a subnet mask of length ${lengthOf(subnet)}`
    throw refuse(`Network has host bits set. For ${length} the network address is ${ipOf(network)}`)
  }
  const first = stepFrom(ipOf(subnet), 1n)
  const last = family === 4 ? stepFrom(lastOf(subnet), -1n) : lastOf(subnet)
  const range = { subnet, start: rangeStart ?? first, end: rangeEnd ?? last, gateway: gateway ?? first }
  if (!contains(subnet, range.start)) throw refuse(`RangeStart ${range.start} not in network ${subnet}`)
  if (!contains(subnet, range.end)) throw refuse(`RangeEnd ${range.end} not in network ${subnet}`)
  if (numberOf(range.end) < numberOf(range.start)) {
    throw refuse(`RangeEnd ${range.end} lies before RangeStart ${range.start} in network ${subnet}`)
  }
  if (familyOf(range.gateway) !== family)
    throw refuse(`gateway ${range.gateway} is of another family than ${subnet}`)
  return range
}

/** True when an address of this range may be given out or asked for; the gateway counts as inside. */
export function inRange(range: PoolRange, ip: Ip): boolean {
  if (familyOf(range.subnet) !== familyOf(ip)) return false
  const value = numberOf(ip)
  return numberOf(range.start) <= value && value <= numberOf(range.end)
}

const overlap = (a: PoolRange, b: PoolRange): boolean =>
  inRange(a, b.start) || inRange(a, b.end) || inRange(b, a.start) || inRange(b, a.end)

/** `10.1.0.1-10.1.0.254`, as messages name a range. */
export const nameOf = (range: PoolRange): string => `${range.start}-${range.end}`
