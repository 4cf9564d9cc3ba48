/**
 * Single values as bytes: what stands inside an attribute, and the fixed structs at the start of messages.
 *
 * Reading never looks past the end: too few bytes are a MalformedError. Writing refuses what does not fit
 * (RangeError), since a value that wraps silently would change something else than was asked for.
 */

import { bytesOf, type Family, type Ip, ipFromBytes } from '../model/address/address.ts'
import { AF_INET, AF_INET6, AF_UNSPEC } from './constants.ts'

/** Bytes from the kernel contradict themselves. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError'
}

/**
 * Both directions of one kind of value; some write more than they read, such as structs with fields left out.
 * Methods, so that a table can hold codecs of any value.
 */
export interface Codec<T, Input = T> {
  /** @throws RangeError for a value that does not fit */
  encode(value: Input): Uint8Array
  /** @throws MalformedError */
  decode(bytes: Uint8Array): T
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

// By hand: a DataView for each of ten thousand ports takes longer than all the rest.
function lowFirst(bytes: Uint8Array, value: number): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = value >> (8 * i)
}
function highFirst(bytes: Uint8Array, value: number): void {
  for (let i = 0; i < bytes.length; i++) bytes[bytes.length - 1 - i] = value >> (8 * i)
}

function scalar<T extends number | bigint>(
  size: number,
  [least, most]: [least: T, most: T],
  write: (bytes: Uint8Array, value: T) => void,
  read: (v: DataView) => T,
): Codec<T> {
  return {
    encode(value) {
      const whole = typeof value === 'bigint' || Number.isInteger(value)
      if (!whole || value < least || value > most) {
        throw new RangeError(`${value} is not within ${least} and ${most}`)
      }
      const bytes = new Uint8Array(size)
      write(bytes, value)
      return bytes
    },
    decode(bytes) {
      if (bytes.length < size) throw new MalformedError(`${size} bytes expected, ${bytes.length} found`)
      return read(viewOf(bytes))
    },
  }
}

export const u8 = scalar<number>(
  1,
  [0, 0xff],
  (bytes, value) => lowFirst(bytes, value),
  v => v.getUint8(0),
)
export const u16 = scalar<number>(
  2,
  [0, 0xffff],
  (bytes, value) => lowFirst(bytes, value),
  v => v.getUint16(0, true),
)
export const u32 = scalar<number>(
  4,
  [0, 0xffffffff],
  (bytes, value) => lowFirst(bytes, value),
  v => v.getUint32(0, true),
)
export const s32 = scalar<number>(
  4,
  [-0x80000000, 0x7fffffff],
  (bytes, value) => lowFirst(bytes, value),
  v => v.getInt32(0, true),
)
export const u64 = scalar<bigint>(
  8,
  [0n, 0xffffffffffffffffn],
  (bytes, value) => viewOf(bytes).setBigUint64(0, value, true),
  v => v.getBigUint64(0, true),
)
/** Network byte order, as ports and protocol numbers travel. */
export const be16 = scalar<number>(
  2,
  [0, 0xffff],
  (bytes, value) => highFirst(bytes, value),
  v => v.getUint16(0),
)

export const be32 = scalar<number>(
  4,
  [0, 0xffffffff],
  (bytes, value) => highFirst(bytes, value),
  v => v.getUint32(0),
)

export const bes32 = scalar<number>(
  4,
  [-0x80000000, 0x7fffffff],
  (bytes, value) => highFirst(bytes, value),
  v => v.getInt32(0),
)
export const be64 = scalar<bigint>(
  8,
  [0n, 0xffffffffffffffffn],
  (bytes, value) => viewOf(bytes).setBigUint64(0, value),
  v => v.getBigUint64(0),
)

/** A byte that is 0 or 1. */
export const bool: Codec<boolean> = {
  encode: value => u8.encode(value ? 1 : 0),
  decode: bytes => u8.decode(bytes) !== 0,
}

/** Present or not; carries nothing. */
export const flag: Codec<true> = {
  encode: () => new Uint8Array(0),
  decode: () => true,
}

/** Text that ends in NUL. */
export const zstr: Codec<string> = {
  encode(value) {
    if (value.includes('\0')) throw new RangeError(`${JSON.stringify(value)} contains a NUL`)
    return Buffer.from(`${value}\0`)
  },
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
  encode(value) {
    if (!/^[0-9a-f]{2}(:[0-9a-f]{2})+$/i.test(value)) {
      throw new RangeError(`${JSON.stringify(value)} is not a link-layer address`)
    }
    return Uint8Array.from(value.split(':'), octet => Number.parseInt(octet, 16))
  },
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
  return {
    size,
    fields,
    encode(values) {
      const bytes = new Uint8Array(size)
      for (const [name, [offset, codec]] of Object.entries(fields)) {
        const value = values[name]
        if (value !== undefined) bytes.set(codec.encode(value), offset)
      }
      return bytes
    },
    decode(bytes) {
      if (bytes.length < size) throw new MalformedError(`${size} bytes expected, ${bytes.length} found`)
      const values: Record<string, unknown> = {}
      for (const [name, [offset, codec]] of Object.entries(fields)) {
        values[name] = codec.decode(bytes.subarray(offset, size))
      }
      return values as Struct<F>
    },
  }
}
