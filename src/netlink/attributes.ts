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
  type Fields,
  type InputOf,
  low16,
  MalformedError,
  type Row,
  type Struct,
  type StructCodec,
  type StructInput,
  type Table,
  type ValueOf,
  writing,
} from './codecs.ts'
import { type Writer, written } from './writer.ts'

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
export const encodeAttribute = (type: number, payload: Uint8Array): Uint8Array =>
  written(to => writeAttribute(to, type, () => to.append(payload)))

function writeAttribute(to: Writer, type: number, writePayload: () => void): void {
  const start = to.reserve(HEADER)
  writePayload()
  const length = to.length - start
  if (length > LENGTH_MAX) throw new RangeError(`an attribute of ${length} bytes is too long`)
  to.set16(start, length)
  to.set16(start + 2, type)
  to.align(start)
}

const typeAt = (bytes: Uint8Array, offset: number): number => low16(bytes, offset + 2) & NLA_TYPE_MASK

/** With its header. @throws MalformedError where there is no whole attribute */
function lengthAt(bytes: Uint8Array, offset: number): number {
  if (bytes.length - offset < HEADER) throw new MalformedError('an attribute header is cut short')
  const length = low16(bytes, offset)
  if (length < HEADER || offset + length > bytes.length) {
    throw new MalformedError(`an attribute of ${length} bytes does not fit`)
  }
  return length
}

const payloadAt = (bytes: Uint8Array, offset: number, length: number): Uint8Array =>
  bytes.subarray(offset + HEADER, offset + length)

/** The attributes in a payload, one after the other. @throws MalformedError */
export function* eachAttribute(bytes: Uint8Array): Generator<{ type: number; payload: Uint8Array }> {
  let length = 0
  for (let offset = 0; offset < bytes.length; offset += align(length)) {
    length = lengthAt(bytes, offset)
    yield { type: typeAt(bytes, offset), payload: payloadAt(bytes, offset, length) }
  }
}

/** Makes a codec of a table. */
export function attributes<const T extends Table>(table: T): AttributeCodec<T> {
  const rows = Object.entries(table).map(([name, [type, codec]]) => ({
    name,
    type: codec.nested ? type | NLA_F_NESTED : type,
    codec,
  }))
  const byType = new Map<number, Row[]>()
  for (const row of rows) {
    const type = row.type & NLA_TYPE_MASK
    byType.set(type, [...(byType.get(type) ?? []), row])
  }

  const rowFor: RowFor = (type, before) =>
    byType.get(type)?.find(({ codec: { only } }) => only === undefined || before[only.name] === only.is)

  const codec = writing<Attributes<T>, AttributesInput<T>>({
    write(to, values) {
      for (const { name, type, codec } of rows) {
        const value = values[name]
        if (value === undefined) continue
        if (!codec.repeated) writeAttribute(to, type, () => codec.write(to, value))
        else for (const item of value as unknown[]) writeAttribute(to, type, () => codec.write(to, item))
      }
    },
    decode(bytes) {
      const values: Record<string, unknown> = {}
      let length = 0
      for (let offset = 0; offset < bytes.length; offset += align(length)) {
        length = lengthAt(bytes, offset)
        const row = rowFor(typeAt(bytes, offset), values)
        // Of a link's sixty attributes twenty are listed: for the others nothing is made.
        if (row === undefined) continue
        const { name, codec } = row
        const value = codec.decode(payloadAt(bytes, offset, length))
        if (codec.repeated) {
          const list = (values[name] ?? []) as unknown[]
          list.push(value)
          values[name] = list
        } else values[name] = value
      }
      return values as Attributes<T>
    },
  })
  return { ...codec, rowFor }
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
  const attributesAt = align(header.size)
  const codec = writing<
    { header: Struct<F>; attributes: Attributes<T> },
    { header: StructInput<F>; attributes: AttributesInput<T> }
  >({
    write(to, value) {
      const start = to.length
      header.write(to, value.header)
      to.align(start)
      list.write(to, value.attributes)
    },
    decode: bytes => ({
      header: header.decode(bytes),
      attributes: list.decode(bytes.subarray(Math.min(attributesAt, bytes.length))),
    }),
  })
  return { ...codec, fields: header.fields, rowFor: list.rowFor, attributesAt }
}
