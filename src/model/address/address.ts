/**
 * IP addresses and prefixes as plain text in one canonical form; the only file that knows ip-num.
 *
 * An `Ip` is an address as `inet_ntop(3)` prints it, a `Cidr` an `Ip` with its prefix length. Two values
 * are equal exactly when the strings are, so they can be keys, travel in JSON and be put into rules:
 * whatever came from outside was parsed to a number first and printed anew.
 */

import { IPv6 } from 'ip-num'
import { TsnetError } from '../errors.ts'
import { shown } from '../json/shown.ts'
import { bitsOfText, printAddress, readAddress } from './text.ts'

export type Family = 4 | 6

/** A canonical address: `10.0.0.1`, `2001:db8::1`. */
export type Ip = string & { readonly ip: unique symbol }

/** An address with a prefix length: `10.0.0.1/24`. Host bits may be set. */
export type Cidr = string & { readonly cidr: unique symbol }

/**
 * An address of this host that something listens on: with its interface where it means nothing without,
 * `fe80::1%eth0` (RFC 4007). See host.ts.
 */
export type HostIp = Ip | ZonedIp
export type ZonedIp = string & { readonly zonedIp: unique symbol }

/** Number of bits in an address of this family. */
export const bitsOf = (family: Family): 32 | 128 => (family === 4 ? 32 : 128)

/**
 * Parses an address strictly: no zone, no leading zeros, no netmask.
 * @param what names the value in the error, such as `gateway`
 * @throws TsnetError `invalid-config`
 */
export function parseIp(text: string, what = 'address'): Ip {
  const ip = tryParseIp(text)
  if (ip !== undefined) return ip
  throw new TsnetError('invalid-config', `${what}: ${shown(text)} is not an IP address`)
}

/** As parseIp, but undefined for anything that is no address. */
export function tryParseIp(text: string): Ip | undefined {
  const bytes = readAddress(text)
  return bytes === undefined ? undefined : (printAddress(bytes) as Ip)
}

/**
 * Parses `address/length`.
 * @throws TsnetError `invalid-config`
 */
export function parseCidr(text: string, what = 'prefix'): Cidr {
  const [address = '', length = '', ...rest] = text.split('/')
  const ip = tryParseIp(address)
  const bits = /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
  if (ip === undefined || rest.length > 0 || !(bits <= bitsOf(familyOf(ip)))) {
    throw new TsnetError(
      'invalid-config',
      `${what}: ${shown(text)} is not an address with a prefix length, such as 10.1.0.0/16`,
    )
  }
  return cidrOf(ip, bits)
}

/** True for what parseCidr and parseIp take, at a fraction of their cost: for the many of records. */
export function isCidr(text: unknown): boolean {
  if (typeof text !== 'string') return false
  const slash = text.indexOf('/')
  if (slash < 0) return false
  const length = text.slice(slash + 1)
  const bits = bitsOfText(text, slash)
  return bits > 0 && /^\d{1,3}$/.test(length) && Number(length) <= bits
}

export const isIp = (text: unknown): boolean => typeof text === 'string' && bitsOfText(text) > 0

export const cidrOf = (ip: Ip, length: number): Cidr => `${ip}/${length}` as Cidr

/** The address part of a Cidr. */
export const ipOf = (cidr: Cidr): Ip => cidr.slice(0, cidr.indexOf('/')) as Ip

/** The prefix length of a Cidr. */
export const lengthOf = (cidr: Cidr): number => Number(cidr.slice(cidr.indexOf('/') + 1))

export const familyOf = (address: HostIp | Cidr): Family => (address.includes(':') ? 6 : 4)

/** The address as a number, network byte order read as big endian. */
export function numberOf(ip: Ip): bigint {
  const { buffer, length } = bytesOf(ip)
  const view = new DataView(buffer)
  if (length === 4) return BigInt(view.getUint32(0))
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8)
}

/** The bytes of the address with this value, which is one of the family's. */
export function bytesAt(value: bigint, family: Family): Uint8Array {
  const view = new DataView(new ArrayBuffer(bitsOf(family) / 8))
  if (family === 4) view.setUint32(0, Number(value))
  else {
    view.setBigUint64(0, value >> 64n)
    view.setBigUint64(8, BigInt.asUintN(64, value))
  }
  return new Uint8Array(view.buffer)
}

/** The address with this value. @throws RangeError outside the family's range */
export function ipAt(value: bigint, family: Family): Ip {
  if (value < 0n || value >> BigInt(bitsOf(family)) !== 0n) {
    throw new RangeError(`${value} is not an IPv${family} address`)
  }
  return family === 4 ? ipFromBytes(bytesAt(value, family)) : parseIp(new IPv6(value).toString())
}

/** The address as 4 or 16 bytes, network byte order. */
export function bytesOf(ip: Ip): Uint8Array {
  const bytes = readAddress(ip)
  if (bytes === undefined) throw new TypeError(`${shown(ip)} is no address that was parsed`)
  return bytes
}

/** The address in 4 or 16 bytes. @throws RangeError for any other length */
export function ipFromBytes(bytes: Uint8Array): Ip {
  if (bytes.length !== 4 && bytes.length !== 16) {
    throw new RangeError(`an address has 4 or 16 bytes, not ${bytes.length}`)
  }
  return printAddress(bytes) as Ip
}

const hostMask = (cidr: Cidr): bigint => (1n << BigInt(bitsOf(familyOf(cidr)) - lengthOf(cidr))) - 1n

/** The prefix with all host bits cleared: `10.0.0.7/24` → `10.0.0.0/24`. */
export function networkOf(cidr: Cidr): Cidr {
  return cidrOf(ipAt(numberOf(ipOf(cidr)) & ~hostMask(cidr), familyOf(cidr)), lengthOf(cidr))
}

/** The last address of the prefix; for IPv4 its broadcast address. */
export function lastOf(cidr: Cidr): Ip {
  return ipAt(numberOf(ipOf(cidr)) | hostMask(cidr), familyOf(cidr))
}

export const contains = (cidr: Cidr, ip: Ip): boolean => within(cidr)(bytesOf(ip))

/** The same for many: whether an address, as bytes, is in the prefix. */
export function within(cidr: Cidr): (bytes: Uint8Array) => boolean {
  const [network, length] = [bytesOf(ipOf(cidr)), lengthOf(cidr)]
  const whole = length >> 3
  const mask = (0xff00 >> (length & 7)) & 0xff
  return bytes => {
    if (bytes.length !== network.length) return false
    for (let i = 0; i < whole; i++) if (bytes[i] !== network[i]) return false
    return (((bytes[whole] ?? 0) ^ (network[whole] ?? 0)) & mask) === 0
  }
}

export const overlaps = (a: Cidr, b: Cidr): boolean =>
  familyOf(a) === familyOf(b) && (contains(a, ipOf(b)) || contains(b, ipOf(a)))

/** The address `offset` steps away. @throws RangeError past either end of the family */
export const stepFrom = (ip: Ip, offset: bigint): Ip => ipAt(numberOf(ip) + offset, familyOf(ip))

/** `0.0.0.0` and `::`, which stand for every address of the host. */
export const isUnspecified = (ip: HostIp): boolean => ip === '0.0.0.0' || ip === '::'

export const isLoopback = (ip: HostIp): boolean => ip === '::1' || ip.startsWith('127.')

/** RFC 5771, and RFC 4291 section 2.7; of canonical text. */
export const isMulticast = (ip: HostIp): boolean => /^(22[4-9]|23\d)\.|^ff[0-9a-f]{2}:/.test(ip)

/** And the broadcast of no subnet. */
export const isForMany = (ip: HostIp): boolean => isMulticast(ip) || ip === '255.255.255.255'

/** The families of some addresses, each once. */
export const familiesOf = (addresses: readonly (HostIp | Cidr)[]): Family[] =>
  [...new Set(addresses.map(familyOf))].sort()
