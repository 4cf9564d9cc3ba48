/**
 * The few bytes of Protocol Buffers that a CRI call needs: messages of numbers, texts and messages.
 * Fields are given and found by their numbers, as the `.proto` file has them.
 */

export type Field = string | number | Message | Message[] | string[]
/** Field number → value. Empty texts and zeros are left out, as proto3 has it. */
export interface Message {
  [field: number]: Field
}

const VARINT = 0
const BYTES = 2

export function encode(message: Message): Buffer {
  const parts = Object.entries(message).flatMap(([field, value]) => encodeField(Number(field), value))
  return Buffer.concat(parts)
}

function encodeField(field: number, value: Field): Buffer[] {
  if (Array.isArray(value)) return value.flatMap(item => encodeField(field, item))
  if (typeof value === 'number') return value === 0 ? [] : [varint((field << 3) | VARINT), varint(value)]
  if (value === '') return []
  const bytes = typeof value === 'string' ? Buffer.from(value) : encode(value)
  return [varint((field << 3) | BYTES), varint(bytes.length), bytes]
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest > 127) {
    bytes.push((rest & 127) | 128)
    rest = Math.floor(rest / 128)
  }
  return Buffer.from([...bytes, rest])
}

/** The texts and nested messages of a message, by field number, in order; other kinds are passed over. */
export function decode(bytes: Buffer): Map<number, Buffer[]> {
  const fields = new Map<number, Buffer[]>()
  let offset = 0
  const number = () => {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes.readUInt8(offset++)
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
  }
  while (offset < bytes.length) {
    const key = number()
    const kind = key & 7
    if (kind === VARINT) number()
    else if (kind === BYTES) {
      const length = number()
      const field = key >> 3
      fields.set(field, [...(fields.get(field) ?? []), bytes.subarray(offset, offset + length)])
      offset += length
    } else throw new Error(`field ${key >> 3} has the wire type ${kind}, which CRI does not use`)
  }
  return fields
}
