/**
 * Types of keys and data: values as registers hold them, and as nft writes them.
 *
 * A type has a number by which nft prints values: of a concatenation that of each field, six bits wide. A
 * field begins at a border of four bytes.
 *
 * Source: nftables/datatype.h (enum datatypes).
 */

import { bytesOf, ipFromBytes, parseIp } from '../model/address/address.ts'
import { protocolNumbers } from '../model/port-mapping.ts'
import { be16, be32, type Codec, mac, u8, u16, u32, zstr } from '../netlink/codecs.ts'
import type { ByteOrder } from './userdata.ts'

export interface ValueType {
  id: number
  /** In bytes. */
  size: number
  order: ByteOrder
  /** Bits that stand for themselves: a word asks whether its bit is set. */
  isFlags?: boolean
  /** A value as nft writes it. @throws RangeError, TsnetError `invalid-config` */
  encode: (text: string) => Uint8Array
  decode: (bytes: Uint8Array) => string
}

const IFNAMSIZ = 16

/** The name of an interface fills its field, so that none is the beginning of another. */
export function interfaceBytes(name: string): Uint8Array {
  const bytes = new Uint8Array(IFNAMSIZ)
  bytes.set(Buffer.from(name))
  return bytes
}

const codecs: Record<string, Codec<number>> = {
  host1: u8,
  host2: u16,
  host4: u32,
  network1: u8,
  network2: be16,
  network4: be32,
}

/** A number; some have names. */
function numeric(
  id: number,
  size: number,
  order: 'host' | 'network',
  names: Record<string, number> = {},
): ValueType {
  const codec = codecs[`${order}${size}`] as Codec<number>
  const byNumber = new Map(Object.entries(names).map(([name, number]) => [number, name]))
  return {
    id,
    size,
    order,
    encode(text) {
      const named = names[text]
      if (named === undefined && !/^(0x[0-9a-f]+|\d+)$/i.test(text)) {
        throw new RangeError(`${JSON.stringify(text)} is not a number`)
      }
      return codec.encode(named ?? Number(text))
    },
    decode(bytes) {
      const number = codec.decode(bytes)
      return byNumber.get(number) ?? String(number)
    },
  }
}

/** IPv4 or IPv6, told apart by length. */
function address(id: number, size: number): ValueType {
  // Thousands of ports lead to one address.
  let last: { text: string; bytes: Uint8Array } | undefined
  return {
    id,
    size,
    order: 'network',
    encode(text) {
      if (last?.text === text) return last.bytes
      const bytes = bytesOf(parseIp(text))
      if (bytes.length !== size) throw new RangeError(`${text} is of the other family`)
      last = { text, bytes }
      return bytes
    },
    decode: ipFromBytes,
  }
}

const flags = (id: number, names: Record<string, number>): ValueType => ({
  ...numeric(id, 4, 'host', names),
  isFlags: true,
})

const types: Record<string, ValueType> = {
  nf_proto: numeric(2, 1, 'host', { ipv4: 2, ipv6: 10 }),
  integer16: numeric(4, 2, 'network'),
  ipv4_addr: address(7, 4),
  ipv6_addr: address(8, 16),
  ether_addr: { id: 9, size: 6, order: 'network', encode: mac.encode, decode: mac.decode },
  ether_type: numeric(10, 2, 'network', { ip: 0x0800, arp: 0x0806, ip6: 0x86dd }),
  inet_proto: numeric(12, 1, 'network', { ...protocolNumbers, icmp: 1, 'ipv6-icmp': 58 }),
  inet_service: numeric(13, 2, 'network'),
  icmp_type: numeric(14, 1, 'network', { redirect: 5 }),
  tcp_flag: numeric(15, 1, 'network'),
  mark: {
    ...numeric(19, 4, 'host'),
    decode: bytes => `0x${u32.decode(bytes).toString(16).padStart(8, '0')}`,
  },
  ct_state: flags(26, { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 }),
  ct_dir: numeric(27, 1, 'host', { original: 0, reply: 1 }),
  ct_status: flags(28, { 'seen-reply': 2, assured: 4, confirmed: 8, snat: 0x10, dnat: 0x20 }),
  icmpv6_type: numeric(29, 1, 'network', {
    'nd-router-advert': 134,
    'nd-neighbor-advert': 136,
    'nd-redirect': 137,
  }),
  fib_addrtype: numeric(38, 4, 'host', { unicast: 1, local: 2, broadcast: 3, anycast: 4, multicast: 5 }),
  ifname: {
    id: 41,
    size: IFNAMSIZ,
    order: 'host',
    encode: text => interfaceBytes(text.replace(/^"(.*)"$/, '$1')),
    decode: bytes => `"${zstr.decode(bytes)}"`,
  },
}

const FIELD_BITS = 6

/** Where a field ends, counted in bytes. */
export const aligned = (size: number): number => (size + 3) & ~3

/** What the data of a map of verdicts has for a type. */
export const VERDICT_TYPE = 0xffffff00

/** A type as the kernel keeps it for nft. */
export interface KeyType {
  id: number
  /** In bytes. */
  size: number
  order: ByteOrder
  fields: ValueType[]
}

/** @throws RangeError: a type that is not known here */
export function typeNamed(name: string): ValueType {
  const type = types[name]
  if (type === undefined) throw new RangeError(`${name} is no type that we know`)
  return type
}

const known = new Map<string, KeyType>()

/** `ipv4_addr . inet_service`. @throws RangeError: a type that is not known here */
export function keyType(text: string): KeyType {
  const type = known.get(text) ?? readKeyType(text)
  known.set(text, type)
  return type
}

function readKeyType(text: string): KeyType {
  const fields = text.split(' . ').map(typeNamed)
  const [first] = fields
  if (first !== undefined && fields.length === 1) {
    return { id: first.id, size: first.size, order: first.order, fields }
  }
  return {
    id: fields.reduce((id, field) => (id << FIELD_BITS) | field.id, 0) >>> 0,
    size: fields.reduce((size, field) => size + aligned(field.size), 0),
    order: 'none',
    fields,
  }
}

/**
 * A key or data as nft writes it, such as `10.1.0.2 . "br0"`.
 * @param type as keyType takes it
 * @throws RangeError, TsnetError `invalid-config`: a value that is none of its type
 */
export function keyBytes(type: string, text: string): Uint8Array {
  const { fields, size } = keyType(type)
  const words = text.split(' . ')
  if (words.length !== fields.length) throw new RangeError(`${text} is no ${type}`)
  const bytes = new Uint8Array(size)
  let at = 0
  for (const [i, field] of fields.entries()) {
    bytes.set(field.encode(words[i] ?? ''), at)
    at += aligned(field.size)
  }
  return bytes
}

/** A key or data as nft writes it. @throws MalformedError: fewer bytes than its type has */
export function keyText(type: string, bytes: Uint8Array): string {
  let at = 0
  const words = keyType(type).fields.map(({ size, decode }) => {
    const word = decode(bytes.subarray(at, at + size))
    at += aligned(size)
    return word
  })
  return words.join(' . ')
}
