/** Values of comparisons and sets without a name: single ones, prefixes, and ranges. */

import type { SetElement } from '../elements.ts'
import type { SetLiteral } from '../rule.ts'
import { typeNamed } from '../set-types.ts'
import type { Field } from './fields.ts'

/** Bytes, of which only the first bits count. */
export interface Prefix {
  bytes: Uint8Array
  bits: number
}

const encodeFor = (field: Field, text: string): Uint8Array =>
  (field.encode ?? typeNamed(field.type).encode)(text)

/** `10.0.0.0/8`, or a single value. @throws RangeError, TsnetError `invalid-config` */
export function prefixOf(field: Field, text: string): Prefix {
  const isAddress = field.type === 'ipv4_addr' || field.type === 'ipv6_addr'
  const [value = '', length] = isAddress ? text.split('/') : [text]
  const bytes = encodeFor(field, value)
  const whole = 8 * bytes.length
  if (length === undefined) return { bytes, bits: whole }
  const bits = Number(length)
  if (!/^\d+$/.test(length) || bits > whole) throw new RangeError(`${text} is no prefix`)
  const bitmask = maskOf(bits, bytes.length)
  return { bytes: bytes.map((byte, i) => byte & (bitmask[i] ?? 0)), bits }
}

/** The first bits of so many bytes. */
export const maskOf = (bits: number, size: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (0xff00 >> Math.min(8, Math.max(0, bits - 8 * i))) & 0xff)

/** The value behind the last of a prefix; undefined where there is none. */
function after({ bytes, bits }: Prefix): Uint8Array | undefined {
  const next = bytes.slice()
  for (let bit = bits; bit > 0; bit--) {
    const [at, flag] = [(bit - 1) >> 3, 0x80 >> ((bit - 1) & 7)]
    next[at] = (next[at] ?? 0) ^ flag
    // What was 0 is 1 now: nothing is carried further.
    if (((next[at] ?? 0) & flag) !== 0) return next
  }
  return undefined
}

const compare = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b)

/** The set of these values, as nft makes it for one rule. Ranges must not overlap. */
export function literalOf(field: Field, prefixes: readonly Prefix[]): SetLiteral {
  const sorted = [...prefixes].sort((a, b) => compare(a.bytes, b.bytes))
  if (sorted.every(({ bytes, bits }) => bits === 8 * bytes.length)) {
    return { type: field.type, elements: sorted.map(({ bytes }) => ({ key: bytes })) }
  }
  const zero = new Uint8Array(field.size)
  const [first = zero] = sorted.map(({ bytes }) => bytes)
  // A range ends where the next value begins; what is below the first is said to be outside.
  const elements: SetElement[] = compare(first, zero) === 0 ? [] : [{ key: zero, isEnd: true }]
  for (const [i, prefix] of sorted.entries()) {
    const end = after(prefix)
    const next = sorted[i + 1]?.bytes
    elements.push({ key: prefix.bytes })
    if (end !== undefined && (next === undefined || compare(end, next) !== 0))
      elements.push({ key: end, isEnd: true })
  }
  return { type: field.type, elements, isInterval: true }
}
