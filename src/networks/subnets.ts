/**
 * The choice of a subnet, from plain values.
 *
 * IPv4 comes from pools of private addresses, the first prefix that touches nothing that is taken; the pools lie in all
 * three blocks of RFC 1918, since a host whose VPN leads to 10.0.0.0/8 has nothing left in there. They are not those
 * from which Docker (172.17.0.0/16 and on) and podman (10.88.0.0/16 and on) take theirs. IPv6 is a prefix of its own for
 * each network, by RFC 4193.
 */

import { readSettings, SETTINGS_FILE } from '../control/settings.ts'
import { randomBytes } from '../ffi/random.ts'
import {
  bitsOf,
  type Cidr,
  cidrOf,
  type Family,
  familyOf,
  ipAt,
  ipFromBytes,
  ipOf,
  lastOf,
  networkOf,
  numberOf,
  overlaps,
  parseCidr,
} from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { Taken } from './taken.ts'

/** Networks are given prefixes of one length, one after the other. */
export interface SubnetPool {
  base: Cidr
  /** At least that of the base. */
  length: number
}

export const DEFAULT_POOLS: readonly SubnetPool[] = [
  { base: parseCidr('10.210.0.0/15'), length: 24 },
  { base: parseCidr('172.30.0.0/15'), length: 24 },
  { base: parseCidr('192.168.128.0/17'), length: 24 },
]

/** Those of the daemon's settings; where these have none, ours. @throws TsnetError for settings that cannot be read */
export function configuredPools(): readonly SubnetPool[] {
  const { subnetPools } = readSettings(SETTINGS_FILE)
  return subnetPools.length > 0
    ? subnetPools.map(({ base, size }) => ({ base, length: size }))
    : DEFAULT_POOLS
}

/** One that is asked for. @throws TsnetError `conflict` naming whose it is */
export function requireFree(subnet: Cidr, taken: readonly Taken[]): void {
  const other = taken.find(({ cidr }) => overlaps(cidr, subnet))
  if (other !== undefined)
    throw new TsnetError('conflict', `--subnet: ${subnet} overlaps with ${other.by}; choose another one`)
}

/** @throws TsnetError `exhausted` naming where it was looked for */
export function chooseSubnet(family: Family, taken: readonly Cidr[], pools: readonly SubnetPool[]): Cidr {
  const found = family === 4 ? pickSubnet(pools, taken) : drawSubnet(taken, randomBytes)
  if (found !== undefined) return found
  const where = family === 4 ? pools.map(({ base }) => base).join(', ') : 'fd00::/8'
  throw new TsnetError(
    'exhausted',
    `no IPv${family} subnet is free in ${where}: networks and routes of this host are everywhere; name one with --subnet`,
  )
}

/** The first prefix of the pools that overlaps with nothing; undefined where there is none. */
export function pickSubnet(pools: readonly SubnetPool[], taken: readonly Cidr[]): Cidr | undefined {
  for (const pool of pools) {
    const found = pickFrom(pool, taken)
    if (found !== undefined) return found
  }
  return undefined
}

/** In one pass over what is taken, however many that are. */
function pickFrom({ base, length }: SubnetPool, taken: readonly Cidr[]): Cidr | undefined {
  const family = familyOf(base)
  const size = 1n << BigInt(bitsOf(family) - length)
  const end = numberOf(lastOf(base))
  const spans = taken
    .filter(cidr => overlaps(cidr, base))
    .map(cidr => ({ first: numberOf(ipOf(networkOf(cidr))), last: numberOf(lastOf(cidr)) }))
    .sort((a, b) => (a.first < b.first ? -1 : 1))
  let at = numberOf(ipOf(networkOf(base)))
  for (const { first, last } of spans) {
    if (first >= at + size) break
    // The next one behind it that begins where such prefixes do.
    if (last >= at) at = (last / size + 1n) * size
  }
  return at + size - 1n > end ? undefined : cidrOf(ipAt(at, family), length)
}

/** RFC 4193, 3.1: the global identifier has 40 bits. */
const GLOBAL_ID_BYTES = 5
const ULA_LENGTH = 64
const TRIES = 1000

/**
 * A prefix of 64 bits below fd00::/8 whose global identifier is drawn (RFC 4193, 3.2.2).
 * @param draw that many random bytes
 * @returns undefined where one after the other is taken: something wide is in the way
 */
export function drawSubnet(taken: readonly Cidr[], draw: (count: number) => Uint8Array): Cidr | undefined {
  const others = taken.filter(cidr => familyOf(cidr) === 6)
  for (let left = TRIES; left > 0; left--) {
    const bytes = new Uint8Array(16)
    bytes[0] = 0xfd
    bytes.set(draw(GLOBAL_ID_BYTES).subarray(0, GLOBAL_ID_BYTES), 1)
    const subnet = cidrOf(ipFromBytes(bytes), ULA_LENGTH)
    if (!others.some(cidr => overlaps(cidr, subnet))) return subnet
  }
  return undefined
}
