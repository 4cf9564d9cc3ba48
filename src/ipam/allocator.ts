/**
 * Which address comes next: pure, knowing nothing of files.
 *
 * Round robin from the address given out last, through all ranges of the set and around, so that an
 * address rests as long as possible before it is used again.
 */

import { familyOf, type Ip, ipAt, ipOf, lastOf, numberOf } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { inRange, nameOf, type Pool, type PoolRange } from './pool.ts'

/** An address, and the range that it comes from. */
export interface Candidate {
  ip: Ip
  range: PoolRange
}

/** How many addresses are looked at one by one before a listing of all leases is cheaper. */
const PROBES = 256

/**
 * Every address of the set that may be given out, each once, in the order in which they are tried.
 * @param last the address given out last; ignored when it is outside the set
 */
export function* candidates(set: PoolRange[], last: Ip | undefined): Generator<Candidate> {
  const found = last === undefined ? -1 : set.findIndex(range => inRange(range, last))
  const home = Math.max(found, 0)
  const [from, upTo] = [set.slice(home), set.slice(0, home)]
  const [first, ...rest] = from
  if (first === undefined) return
  if (last === undefined || found < 0) {
    yield* stretch(first, numberOf(first.start), numberOf(first.end))
  } else {
    yield* stretch(first, numberOf(last) + 1n, numberOf(first.end))
  }
  for (const range of [...rest, ...upTo]) {
    yield* stretch(range, numberOf(range.start), numberOf(range.end))
  }
  if (last !== undefined && found >= 0) {
    yield* stretch(first, numberOf(first.start), numberOf(last))
  }
}

function* stretch(range: PoolRange, from: bigint, to: bigint): Generator<Candidate> {
  const family = familyOf(range.subnet)
  const withheld = withheldFrom(range)
  for (let value = from; value <= to; value++) {
    const ip = ipAt(value, family)
    if (!withheld.includes(ip)) yield { ip, range }
  }
}

/** What nobody gets unasked: the gateway, and what IPv4 means as network and broadcast address. */
function withheldFrom({ subnet, gateway }: PoolRange): Ip[] {
  return familyOf(subnet) === 4 ? [gateway, ipOf(subnet), lastOf(subnet)] : [gateway]
}

/**
 * The first candidate that is free.
 * @param isTaken looks at one address
 * @param listTaken lists all that are taken; asked for at most once, after many were
 */
export function choose(
  set: PoolRange[],
  last: Ip | undefined,
  isTaken: (ip: Ip) => boolean,
  listTaken: () => ReadonlySet<string>,
): Candidate | undefined {
  let probes = 0
  let taken: ReadonlySet<string> | undefined
  for (const candidate of candidates(set, last)) {
    if (taken === undefined && probes++ === PROBES) taken = listTaken()
    if (!(taken?.has(candidate.ip) ?? isTaken(candidate.ip))) return candidate
  }
  return undefined
}

/**
 * Deals requested addresses out to the sets: at most one each.
 * @returns for each set its requested address, if any
 * @throws TsnetError `invalid-config` when one fits no set, two fit the same, or one is the gateway
 */
export function assign(pool: Pool, requested: Ip[]): (Candidate | undefined)[] {
  const left = new Set(requested)
  const assigned = pool.map((set, index) => {
    for (const ip of left) {
      const range = set.find(range => inRange(range, ip))
      if (range === undefined) continue
      left.delete(ip)
      if (ip === range.gateway) {
        throw new TsnetError('invalid-config', `${failed(index)}: requested ip ${ip} is subnet's gateway`)
      }
      return { ip, range }
    }
    return undefined
  })
  if (left.size > 0) {
    throw new TsnetError('invalid-config', `failed to allocate all requested IPs: ${[...left].join(' ')}`, {
      details: `each must lie in a range set of its own of ${pool.map(describe).join(' and ')}`,
    })
  }
  return assigned
}

/** `10.1.0.1-10.1.0.254,10.1.1.1-10.1.1.254`, as messages name a range set. */
export const describe = (set: PoolRange[]): string => set.map(nameOf).join(',')

/** How messages about a range set begin. */
export const failed = (index: number): string => `failed to allocate for range ${index}`

export const exhausted = (set: PoolRange[]): string =>
  `no IP addresses available in range set: ${describe(set)}`
