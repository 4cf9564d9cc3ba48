/**
 * Types of keys and data, and values as registers hold them.
 *
 * A type has a number by which nft prints values: of a concatenation that of each field, six bits wide. A
 * field begins at a border of four bytes.
 *
 * Source: nftables/datatype.h (enum datatypes).
 */

import { bytesOf, parseIp } from '../model/address.ts'
import { protocolNumbers } from '../model/port-mapping.ts'
import { be16, concatenate, u8, u32 } from '../netlink/codecs.ts'
import type { ByteOrder } from './userdata.ts'

interface SetType {
  id: number
  size: number
  order: ByteOrder
  /** A value of this type, as nft writes it. @throws RangeError, TsnetError `invalid-config` */
  encode: (text: string) => Uint8Array
}

const IFNAMSIZ = 16

const number = (text: string): number => {
  if (!/^(0x[0-9a-f]+|\d+)$/.test(text)) throw new RangeError(`${JSON.stringify(text)} is not a number`)
  return Number(text)
}

const byName = (names: Record<string, number>, text: string): number => names[text] ?? number(text)

/** The name of an interface fills its field, so that none is the beginning of another. */
export const interfaceBytes = (name: string): Uint8Array => {
  const bytes = new Uint8Array(IFNAMSIZ)
  bytes.set(Buffer.from(name))
  return bytes
}

const addressBytes = (text: string): Uint8Array => bytesOf(parseIp(text))

const types: Record<string, SetType> = {
  nf_proto: { id: 2, size: 1, order: 'host', encode: text => u8.encode(byName({ ipv4: 2, ipv6: 10 }, text)) },
  ipv4_addr: { id: 7, size: 4, order: 'network', encode: addressBytes },
  ipv6_addr: { id: 8, size: 16, order: 'network', encode: addressBytes },
  ether_type: { id: 10, size: 2, order: 'network', encode: text => be16.encode(number(text)) },
  inet_proto: {
    id: 12,
    size: 1,
    order: 'network',
    encode: text => u8.encode(byName(protocolNumbers, text)),
  },
  inet_service: { id: 13, size: 2, order: 'network', encode: text => be16.encode(number(text)) },
  icmpv6_type: { id: 29, size: 1, order: 'network', encode: text => u8.encode(number(text)) },
  mark: { id: 19, size: 4, order: 'host', encode: text => u32.encode(number(text)) },
  ct_state: { id: 26, size: 4, order: 'host', encode: text => u32.encode(number(text)) },
  ifname: {
    id: 41,
    size: IFNAMSIZ,
    order: 'host',
    encode: text => interfaceBytes(text.replace(/^"(.*)"$/, '$1')),
  },
}

const FIELD_BITS = 6

/** Where a field ends, counted in bytes. */
const aligned = (size: number): number => (size + 3) & ~3

/** What the data of a map of verdicts has for a type. */
export const VERDICT_TYPE = 0xffffff00

/** A type as the kernel keeps it for nft. */
export interface KeyType {
  id: number
  /** In bytes. */
  size: number
  order: ByteOrder
  /** Sizes of the fields of a concatenation, in bytes. */
  fields: number[]
}

function typeNamed(name: string): SetType {
  const type = types[name]
  if (type === undefined) throw new RangeError(`${name} is no type that we know`)
  return type
}

/** `ipv4_addr . inet_service`. @throws RangeError: a type that is not known here */
export function keyType(text: string): KeyType {
  const fields = text.split(' . ').map(typeNamed)
  const [first] = fields
  if (first !== undefined && fields.length === 1)
    return { id: first.id, size: first.size, order: first.order, fields: [first.size] }
  return {
    id: fields.reduce((id, field) => (id << FIELD_BITS) | field.id, 0) >>> 0,
    size: fields.reduce((size, field) => size + aligned(field.size), 0),
    order: 'none',
    fields: fields.map(({ size }) => size),
  }
}

/** Values one after the other, each at a border of four bytes. */
export const joined = (values: readonly Uint8Array[]): Uint8Array =>
  concatenate(values.flatMap(value => [value, new Uint8Array(aligned(value.length) - value.length)]))

/**
 * A key or data as nft writes it, such as `10.1.0.2 . "br0"`.
 * @param type as keyType takes it
 * @throws RangeError, TsnetError `invalid-config`: a value that is none of its type
 */
export function keyBytes(type: string, text: string): Uint8Array {
  const names = type.split(' . ')
  const words = text.split(' . ')
  if (words.length !== names.length) throw new RangeError(`${text} is no ${type}`)
  const values = names.map((name, i) => typeNamed(name).encode(words[i] ?? ''))
  const [only] = values
  return only !== undefined && values.length === 1 ? only : joined(values)
}
