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
 * Where the meaning of an attribute hangs on a sibling (IFLA_INFO_DATA on IFLA_INFO_KIND), the table has one
 * row for each meaning, marked `only('kind', 'vxlan', …)`. The kernel puts the sibling first.
 *
 * Source: linux/netlink.h (struct nlattr), include/net/netlink.h.
 */

import {
  type Codec,
  concatenate,
  type Fields,
  type InputOf,
  MalformedError,
  type Row,
  type Struct,
  type StructCodec,
  type StructInput,
  type Table,
  type ValueOf,
  viewOf,
} from './codecs.ts'

/** What a table decodes to: every attribute may be absent. */
export type Attributes<T extends Table> = { [Name in keyof T]?: ValueOf<T[Name][1]> | undefined }

/** What a table encodes; what is undefined is left out. */
export type AttributesInput<T extends Table> = { [Name in keyof T]?: InputOf<T[Name][1]> | undefined }

/** A codec made of a table. */
export interface AttributeCodec<T extends Table> extends Codec<Attributes<T>, AttributesInput<T>> {
  readonly rowFor: RowFor
}

type RowFor = (type: number, before: Record<string, unknown>) => Row | undefined

const HEADER = 4
const LENGTH_MAX = 0xffff
const NLA_F_NESTED = 0x8000
const NLA_TYPE_MASK = 0x3fff
const align = (length: number): number => (length + 3) & ~3

/** One attribute: header, payload, padding to four bytes. @throws RangeError: the length field has 16 bits */
export function encodeAttribute(type: number, payload: Uint8Array): Uint8Array {
  const length = HEADER + payload.length
  if (length > LENGTH_MAX) throw new RangeError(`an attribute of ${length} bytes is too long`)
  const bytes = new Uint8Array(align(length))
  viewOf(bytes).setUint16(0, length, true)
  viewOf(bytes).setUint16(2, type, true)
  bytes.set(payload, HEADER)
  return bytes
}

/** The attributes in a payload, one after the other. @throws MalformedError */
export function* eachAttribute(bytes: Uint8Array): Generator<{ type: number; payload: Uint8Array }> {
  let offset = 0
  while (offset < bytes.length) {
    if (bytes.length - offset < HEADER) throw new MalformedError('an attribute header is cut short')
    const length = viewOf(bytes).getUint16(offset, true)
    if (length < HEADER || offset + length > bytes.length) {
      throw new MalformedError(`an attribute of ${length} bytes does not fit`)
    }
    const type = viewOf(bytes).getUint16(offset + 2, true) & NLA_TYPE_MASK
    yield { type, payload: bytes.subarray(offset + HEADER, offset + length) }
    offset += align(length)
  }
}

/** Makes a codec of a table. */
export function attributes<const T extends Table>(table: T): AttributeCodec<T> {
  const rows = Object.entries(table).map(([name, [type, codec]]) => ({ name, type, codec }))
  const byType = new Map<number, Row[]>()
  for (const row of rows) byType.set(row.type, [...(byType.get(row.type) ?? []), row])

  const rowFor: RowFor = (type, before) =>
    byType.get(type)?.find(({ codec: { only } }) => only === undefined || before[only.name] === only.is)

  function encode(values: AttributesInput<T>): Uint8Array {
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
      const row = rowFor(type, values)
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

  return { rowFor, encode, decode }
}

/** A table inside an attribute. */
export function nested<T extends Table>(codec: AttributeCodec<T>): AttributeCodec<T> & { nested: true } {
  return { ...codec, nested: true }
}

/** An attribute that stands as often as its array has items. */
export function repeated<T, Input>(codec: Codec<T, Input>): Codec<T[], Input[]> {
  return { ...(codec as unknown as Codec<T[], Input[]>), repeated: true }
}

/** A row that counts only where the text attribute `name` of the same table is `is`. */
export function only<C extends Codec<unknown>>(name: string, is: string, codec: C): C {
  return { ...codec, only: { name, is } }
}

/** A family's struct and the attributes behind it: the payload of a message. */
export interface PayloadCodec<F extends Fields, T extends Table>
  extends Codec<
    { header: Struct<F>; attributes: Attributes<T> },
    { header: StructInput<F>; attributes: AttributesInput<T> }
  > {
  readonly fields: F
  readonly rowFor: RowFor
  readonly attributesAt: number
}

/** Makes a codec of a struct and a table. */
export function payload<F extends Fields, T extends Table>(
  header: StructCodec<F>,
  list: AttributeCodec<T>,
): PayloadCodec<F, T> {
  const start = align(header.size)
  return {
    fields: header.fields,
    rowFor: list.rowFor,
    attributesAt: start,
    encode(value) {
      const bytes = concatenate([new Uint8Array(start), list.encode(value.attributes)])
      bytes.set(header.encode(value.header))
      return bytes
    },
    decode: bytes => ({
      header: header.decode(bytes),
      attributes: list.decode(bytes.subarray(Math.min(start, bytes.length))),
    }),
  }
}
