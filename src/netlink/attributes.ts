/**
 * Netlink attributes as declarative tables.
 *
 *     const linkAttributes = attributes({
 *       name: [IFLA_IFNAME, zstr],
 *       mtu: [IFLA_MTU, u32],
 *     })
 *     linkAttributes.encode({ name: 'web', mtu: 1500 })
 *     linkAttributes.decode(bytes)            // { name?: string, mtu?: number }
 *
 * A table lists, in uapi order, the attributes that we read or write; the TypeScript type of its values is
 * inferred from it and the debug printer reads the same rows. What a table does not list is skipped when
 * reading. Every length is checked before a byte is read: malformed input throws MalformedError, never
 * reads past its end.
 *
 * Source: linux/netlink.h (struct nlattr), include/net/netlink.h.
 */

import { bytesOf, type Ip, ipFromBytes } from '../model/address.ts'

/** Bytes from the kernel contradict themselves. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/** Both directions of one kind of value. Methods, so that a table can hold codecs of any value. */
export interface Codec<T> {
  encode(value: T): Uint8Array
  /** @throws MalformedError */
  decode(bytes: Uint8Array): T
  /** The payload is attributes again, marked so in the attribute's type. */
  readonly nested?: true
  /** The attribute may stand several times; the value is the array of all. */
  readonly repeated?: true
}

/** The value a codec stands for. */
export type ValueOf<C> = C extends Codec<infer T> ? T : never

type Table = Record<string, readonly [type: number, codec: Codec<unknown>]>

/** What a table decodes to, and what it encodes: every attribute may be absent. */
export type Attributes<T extends Table> = { [Name in keyof T]?: ValueOf<T[Name][1]> }

/** A codec made of a table, with the table for printers. */
export interface AttributeCodec<T extends Table> extends Codec<Attributes<T>> {
  readonly table: T
}

const HEADER = 4
const NLA_F_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff
const align = (length: number): number => (length + 3) & ~3

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** One attribute: header, payload, padding to four bytes. */
export function encodeAttribute(type: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(align(HEADER + payload.length))
  view(bytes).setUint16(0, HEADER + payload.length, true)
  view(bytes).setUint16(2, type, true)
  bytes.set(payload, HEADER)
  return bytes
}

/** The attributes in a payload, one after the other. @throws MalformedError */
export function* eachAttribute(bytes: Uint8Array): Generator<{ type: number; payload: Uint8Array }> {
  let offset = 0
  while (offset < bytes.length) {
    if (bytes.length - offset < HEADER) throw new MalformedError('an attribute header is cut short')
    const length = view(bytes).getUint16(offset, true)
    if (length < HEADER || offset + length > bytes.length) {
      throw new MalformedError(`an attribute of ${length} bytes does not fit`)
    }
    const type = view(bytes).getUint16(offset + 2, true) & NLA_TYPE_MASK
    yield { type, payload: bytes.subarray(offset + HEADER, offset + length) }
    offset += align(length)
  }
}

/** Makes a codec of a table. */
export function attributes<const T extends Table>(table: T): AttributeCodec<T> {
  const rows = Object.entries(table).map(([name, [type, codec]]) => ({ name, type, codec }))
  const byType = new Map(rows.map(row => [row.type, row]))

  function encode(values: Attributes<T>): Uint8Array {
    const parts: Uint8Array[] = []
    for (const { name, type, codec } of rows) {
      const value = values[name]
      if (value === undefined) continue
      const wireType = codec.nested ? type | NLA_F_NESTED : type
      const each = codec.repeated ? (value as unknown[]) : [value]
      for (const item of each) parts.push(encodeAttribute(wireType, codec.encode(item)))
    }
    return concatenate(parts)
  }

  function decode(bytes: Uint8Array): Attributes<T> {
    const values: Record<string, unknown> = {}
    for (const { type, payload } of eachAttribute(bytes)) {
      const row = byType.get(type)
      if (row === undefined) continue
      const value = row.codec.decode(payload)
      if (row.codec.repeated) {
        const list = (values[row.name] ?? []) as unknown[]
        list.push(value)
        values[row.name] = list
      } else {
        values[row.name] = value
      }
    }
    return values as Attributes<T>
  }

  return { table, encode, decode }
}

/** A table inside an attribute. */
export function nested<T extends Table>(codec: AttributeCodec<T>): AttributeCodec<T> & { nested: true } {
  return { ...codec, nested: true }
}

/** An attribute that stands as often as its array has items. */
export function repeated<T>(codec: Codec<T>): Codec<T[]> {
  const item = codec as unknown as Codec<T[]>
  return { encode: item.encode, decode: item.decode, repeated: true, ...(codec.nested && { nested: true }) }
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

function scalar<T>(size: number, write: (v: DataView, value: T) => void, read: (v: DataView) => T): Codec<T> {
  return {
    encode(value) {
      const bytes = new Uint8Array(size)
      write(view(bytes), value)
      return bytes
    },
    decode(bytes) {
      if (bytes.length < size) throw new MalformedError(`${size} bytes expected, ${bytes.length} found`)
      return read(view(bytes))
    },
  }
}

export const u8 = scalar<number>(
  1,
  (v, value) => v.setUint8(0, value),
  v => v.getUint8(0),
)
export const u16 = scalar<number>(
  2,
  (v, value) => v.setUint16(0, value, true),
  v => v.getUint16(0, true),
)
export const u32 = scalar<number>(
  4,
  (v, value) => v.setUint32(0, value, true),
  v => v.getUint32(0, true),
)
export const s32 = scalar<number>(
  4,
  (v, value) => v.setInt32(0, value, true),
  v => v.getInt32(0, true),
)
export const u64 = scalar<bigint>(
  8,
  (v, value) => v.setBigUint64(0, value, true),
  v => v.getBigUint64(0, true),
)
/** Network byte order, as ports and protocol numbers travel. */
export const be16 = scalar<number>(
  2,
  (v, value) => v.setUint16(0, value),
  v => v.getUint16(0),
)

/** Present or not; carries nothing. */
export const flag: Codec<true> = {
  encode: () => new Uint8Array(0),
  decode: () => true,
}

/** Text that ends in NUL. */
export const zstr: Codec<string> = {
  encode: value => Buffer.from(`${value}\0`),
  decode(bytes) {
    const end = bytes.indexOf(0)
    return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8')
  },
}

/** Bytes as they are; a copy, since receive buffers are used again. */
export const binary: Codec<Uint8Array> = {
  encode: value => value,
  decode: bytes => bytes.slice(),
}

/** A link-layer address: `02:42:ac:11:00:02`. */
export const mac: Codec<string> = {
  encode: value => Uint8Array.from(value.split(':'), octet => Number.parseInt(octet, 16)),
  decode: bytes => Array.from(bytes, octet => octet.toString(16).padStart(2, '0')).join(':'),
}

/** An IPv4 or IPv6 address, told apart by length. */
export const ip: Codec<Ip> = {
  encode: bytesOf,
  decode(bytes) {
    if (bytes.length !== 4 && bytes.length !== 16) {
      throw new MalformedError(`an address of ${bytes.length} bytes`)
    }
    return ipFromBytes(bytes)
  },
}
