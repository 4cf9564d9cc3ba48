/**
 * Single values as bytes: what stands inside an attribute, and the fixed structs at the start of messages.
 *
 * Reading never looks past the end: too few bytes are a MalformedError. Writing refuses what does not fit
 * (RangeError), since a value that wraps silently would change something else than was asked for.
 */

import { bytesOf, type Family, type Ip, ipFromBytes } from '../model/address/address.ts'
import { AF_INET, AF_INET6, AF_UNSPEC } from './constants.ts'
import { type Writer, written } from './writer.ts'

/** Bytes from the kernel contradict themselves. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/**
 * Both directions of one kind of value; some write more than they read, such as structs with fields left out.
 * Methods, so that a table can hold codecs of any value.
 */
export interface Codec<T, Input = T> {
  /** Writes it behind what is there. @throws RangeError for a value that does not fit */
  write(to: Writer, value: Input): void
  /** The same as bytes of their own. */
  encode(value: Input): Uint8Array
  /** @throws MalformedError */
  decode(bytes: Uint8Array): T
  /** Of values that have a size: the one that begins there, so that a field of a struct needs no array of its own. */
  decodeAt?(bytes: Uint8Array, offset: number): T
  /** The payload is attributes again, marked so in the attribute's type. */
  readonly nested?: true
  /** The attribute may stand several times; the value is the array of all. */
  readonly repeated?: true
  /** The row counts only where the attribute of that name has that value. */
  readonly only?: { readonly name: string; readonly is: string }
  /** In a table: the row that an attribute falls under, given the values read before it. */
  readonly rowFor?: (type: number, before: Record<string, unknown>) => Row | undefined
  /** The fields of a struct, for printers. */
  readonly fields?: Fields
  /** Where both are: the bytes that the struct takes, after which the attributes begin. */
  readonly attributesAt?: number
}

/** Attributes by the names we give them. */
export type Table = Record<string, readonly [type: number, codec: Codec<unknown>]>

/** What a table says of one attribute. */
export interface Row {
  readonly name: string
  readonly codec: Codec<unknown>
}

/** The fields of a struct, each at its offset. */
export type Fields = Record<string, readonly [offset: number, codec: Codec<unknown>]>

/** The value a codec reads. */
export type ValueOf<C> = C extends { decode(bytes: Uint8Array): infer T } ? T : never

/** The value a codec writes. */
export type InputOf<C> = C extends { encode(value: infer T): Uint8Array } ? T : never

export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** A codec that writes in place; `encode` follows from that. */
export const writing = <T, Input = T>(
  codec: Omit<Codec<T, Input>, 'encode' | 'write'> & { write: (to: Writer, value: Input) => void },
): Codec<T, Input> => ({ ...codec, encode: value => written(to => codec.write(to, value)) })

/** A codec for which others make the bytes. */
export const encoding = <T, Input = T>(
  encode: (value: Input) => Uint8Array,
  decode: (bytes: Uint8Array) => T,
): Codec<T, Input> => ({ encode, decode, write: (to, value) => to.append(encode(value)) })

function scalar<T extends number | bigint>(
  size: number,
  [least, most]: [least: T, most: T],
  put: (bytes: Buffer, at: number, value: T) => void,
  read: (bytes: Uint8Array, at: number) => T,
): Codec<T> {
  const decodeAt = (bytes: Uint8Array, offset: number): T => {
    const there = bytes.length - offset
    if (there < size) throw new MalformedError(`${size} bytes expected, ${there} found`)
    return read(bytes, offset)
  }
  return writing({
    write(to, value) {
      const whole = typeof value === 'bigint' || Number.isInteger(value)
      if (!whole || value < least || value > most) {
        throw new RangeError(`${value} is not within ${least} and ${most}`)
      }
      const at = to.reserve(size)
      put(to.bytes, at, value)
    },
    decode: bytes => decodeAt(bytes, 0),
    decodeAt,
  })
}

// By hand: a DataView for each number takes longer than all the rest.
const byte = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0
/** 16 bits, low byte first. */
export const low16 = (bytes: Uint8Array, at: number): number => byte(bytes, at) | (byte(bytes, at + 1) << 8)
const high16 = (bytes: Uint8Array, at: number): number => (byte(bytes, at) << 8) | byte(bytes, at + 1)
export const low32 = (bytes: Uint8Array, at: number): number =>
  low16(bytes, at) | (low16(bytes, at + 2) << 16)
const high32 = (bytes: Uint8Array, at: number): number => (high16(bytes, at) << 16) | high16(bytes, at + 2)

function lowFirst(size: number): (bytes: Uint8Array, at: number, value: number) => void {
  return (bytes, at, value) => {
    for (let i = 0; i < size; i++) bytes[at + i] = value >> (8 * i)
  }
}
function highFirst(size: number): (bytes: Uint8Array, at: number, value: number) => void {
  return (bytes, at, value) => {
    for (let i = 0; i < size; i++) bytes[at + size - 1 - i] = value >> (8 * i)
  }
}

export const u8 = scalar<number>(1, [0, 0xff], lowFirst(1), byte)
export const u16 = scalar<number>(2, [0, 0xffff], lowFirst(2), low16)
export const u32 = scalar<number>(4, [0, 0xffffffff], lowFirst(4), (bytes, at) => low32(bytes, at) >>> 0)
export const s32 = scalar<number>(4, [-0x80000000, 0x7fffffff], lowFirst(4), low32)
export const u64 = scalar<bigint>(
  8,
  [0n, 0xffffffffffffffffn],
  (bytes, at, value) => bytes.writeBigUInt64LE(value, at),
  (bytes, at) => viewOf(bytes).getBigUint64(at, true),
)
/** Network byte order, as ports and protocol numbers travel. */
export const be16 = scalar<number>(2, [0, 0xffff], highFirst(2), high16)
export const be32 = scalar<number>(4, [0, 0xffffffff], highFirst(4), (bytes, at) => high32(bytes, at) >>> 0)
export const bes32 = scalar<number>(4, [-0x80000000, 0x7fffffff], highFirst(4), high32)
export const be64 = scalar<bigint>(
  8,
  [0n, 0xffffffffffffffffn],
  (bytes, at, value) => bytes.writeBigUInt64BE(value, at),
  (bytes, at) => viewOf(bytes).getBigUint64(at),
)

/** A byte that is 0 or 1. */
export const bool: Codec<boolean> = writing({
  write: (to, value) => u8.write(to, value ? 1 : 0),
  decode: bytes => u8.decode(bytes) !== 0,
})

/** Present or not; carries nothing. */
export const flag: Codec<true> = writing({ write() {}, decode: () => true })

/** Bytes that each character of a text takes at most. */
const UTF8_MAX = 3

/** Text that ends in NUL. */
export const zstr: Codec<string> = writing({
  write(to, value) {
    if (value.includes('\0')) throw new RangeError(`${JSON.stringify(value)} contains a NUL`)
    const at = to.extend(UTF8_MAX * value.length + 1)
    to.length = at + to.bytes.write(value, at)
    to.reserve(1)
  },
  decode(bytes) {
    const end = bytes.indexOf(0)
    return Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? bytes.length : end).toString('utf8')
  },
})

/** Bytes as they are; a copy, since receive buffers are used again. */
export const binary: Codec<Uint8Array> = encoding(
  value => value,
  bytes => bytes.slice(),
)

/** A link-layer address: `02:42:ac:11:00:02`. */
export const mac: Codec<string> = encoding(
  value => {
    if (!/^[0-9a-f]{2}(:[0-9a-f]{2})+$/i.test(value)) {
      throw new RangeError(`${JSON.stringify(value)} is not a link-layer address`)
    }
    return Uint8Array.from(value.split(':'), octet => Number.parseInt(octet, 16))
  },
  bytes => Array.from(bytes, octet => octet.toString(16).padStart(2, '0')).join(':'),
)

/** An IPv4 or IPv6 address, told apart by length. */
export const ip: Codec<Ip> = encoding(bytesOf, bytes => {
  if (bytes.length !== 4 && bytes.length !== 16) {
    throw new MalformedError(`an address of ${bytes.length} bytes`)
  }
  return ipFromBytes(bytes)
})

/** AF_INET or AF_INET6; AF_UNSPEC, which asks for both, without a family. */
export const addressFamily = (family?: Family): number =>
  family === undefined ? AF_UNSPEC : family === 4 ? AF_INET : AF_INET6

/** What a struct decodes to. */
export type Struct<F extends Fields> = { [Name in keyof F]: ValueOf<F[Name][1]> }

/** What a struct encodes: what is left out is zero. */
export type StructInput<F extends Fields> = { [Name in keyof F]?: InputOf<F[Name][1]> }

export interface StructCodec<F extends Fields> extends Codec<Struct<F>, StructInput<F>> {
  readonly size: number
  readonly fields: F
}

/** A C struct of `size` bytes, each field at its offset. */
export function struct<const F extends Fields>(size: number, fields: F): StructCodec<F> {
  const all = Object.entries(fields).map(([name, [offset, codec]]) => ({ name, offset, codec }))
  const codec = writing<Struct<F>, StructInput<F>>({
    write(to, values) {
      const start = to.reserve(size)
      for (const { name, offset, codec } of all) {
        const value = values[name]
        if (value === undefined) continue
        to.length = start + offset
        codec.write(to, value)
      }
      to.length = start + size
    },
    decode(bytes) {
      if (bytes.length < size) throw new MalformedError(`${size} bytes expected, ${bytes.length} found`)
      const values: Record<string, unknown> = {}
      for (const { name, offset, codec } of all) {
        const { decodeAt } = codec
        values[name] = decodeAt ? decodeAt(bytes, offset) : codec.decode(bytes.subarray(offset, size))
      }
      return values as Struct<F>
    },
  })
  return { ...codec, size, fields }
}
