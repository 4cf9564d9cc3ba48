/**
 * Bytes of which some are not known, and what can be said when they are compared: yes, no, or perhaps.
 *
 * A packet is judged before it exists. Of the one that we ask about some bytes are certain (the container's
 * address), some can be anything (where a client comes from), and some belong to *somebody*: a client whom
 * no list names, so that a rule about a certain address is not about him.
 */

export type Answer = 'yes' | 'no' | 'perhaps'

/** How much is known of one byte. */
export const KNOWN = 0
export const ANYTHING = 1
/** What nobody has written a rule about. */
export const SOMEBODY = 2

export interface Bits {
  bytes: Uint8Array
  /** KNOWN, ANYTHING or SOMEBODY, for each byte. */
  doubt: Uint8Array
  /** What it is not, although it is unknown. */
  not?: readonly Excluded[]
}

/** A value that does not stand there, as far as the mask reaches. */
export interface Excluded {
  at: number
  value: Uint8Array
  mask: Uint8Array
}

export const known = (bytes: Uint8Array): Bits => ({ bytes, doubt: new Uint8Array(bytes.length) })

const withNot = (bits: Bits, not: readonly Excluded[]): Bits => (not.length === 0 ? bits : { ...bits, not })

/** One value that is not there. */
export const notThis = (value: Uint8Array): Excluded => ({
  at: 0,
  value,
  mask: new Uint8Array(value.length).fill(0xff),
})

export const anything = (length: number, not: readonly Excluded[] = []): Bits =>
  withNot({ bytes: new Uint8Array(length), doubt: new Uint8Array(length).fill(ANYTHING) }, not)

export const somebody = (length: number): Bits => ({
  bytes: new Uint8Array(length),
  doubt: new Uint8Array(length).fill(SOMEBODY),
})

/** The value in host byte order (little-endian on all that we run on). */
export function word(value: number, length: 1 | 2 | 4 = 4): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes.slice(0, length)
}

/** A part of it; bytes beyond its end can be anything. */
export function slice(bits: Bits, offset: number, length: number): Bits {
  if (offset === 0 && length === bits.bytes.length) return bits
  const not = (bits.not ?? []).flatMap(each => shifted(each, offset, length) ?? [])
  const part = anything(length, not)
  const end = Math.min(offset + length, bits.bytes.length)
  if (end > offset) {
    part.bytes.set(bits.bytes.subarray(offset, end))
    part.doubt.set(bits.doubt.subarray(offset, end))
  }
  return part
}

/** As it stands in a part; undefined where a part of it is not there. */
function shifted({ at, value, mask }: Excluded, offset: number, length: number): Excluded | undefined {
  const reach = mask.findLastIndex(byte => byte !== 0) + 1
  if (at < offset || at + reach > offset + length) return undefined
  return { at: at - offset, value: value.subarray(0, reach), mask: mask.subarray(0, reach) }
}

export function join(parts: readonly Bits[]): Bits {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return only
  const length = parts.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const whole = known(new Uint8Array(length))
  const not: Excluded[] = []
  let at = 0
  for (const part of parts) {
    whole.bytes.set(part.bytes, at)
    whole.doubt.set(part.doubt, at)
    for (const each of part.not ?? []) not.push({ ...each, at: each.at + at })
    at += part.bytes.length
  }
  return withNot(whole, not)
}

/** `(bits & mask) ^ xor`; what the mask takes away is known. */
export function masked(bits: Bits, mask: Uint8Array, xor?: Uint8Array): Bits {
  const result = known(new Uint8Array(bits.bytes.length))
  for (let i = 0; i < result.bytes.length; i++) {
    const bit = mask[i] ?? 0
    result.bytes[i] = ((bits.bytes[i] ?? 0) & bit) ^ (xor?.[i] ?? 0)
    result.doubt[i] = bit === 0 ? KNOWN : (bits.doubt[i] ?? ANYTHING)
  }
  // What is left has to tell whether it is that.
  const isLeft = ({ at, mask: all }: Excluded): boolean =>
    all.every((byte, i) => (byte & ~(mask[at + i] ?? 0)) === 0)
  return withNot(result, xor === undefined ? (bits.not ?? []).filter(isLeft) : [])
}

/** Each unit of bytes turned around: host order to network order, and back. */
export function swapped(bits: Bits, unit: number): Bits {
  const turn = (bytes: Uint8Array): Uint8Array =>
    Uint8Array.from(bytes, (_, i) => {
      const start = i - (i % unit)
      return bytes[start + unit - 1 - (i % unit)] ?? 0
    })
  return { bytes: turn(bits.bytes), doubt: turn(bits.doubt) }
}

/** Does it begin with this value? */
export function equals(bits: Bits, value: Uint8Array): Answer {
  let answer: Answer = 'yes'
  let foreign = false
  for (let i = 0; i < value.length; i++) {
    const doubt = bits.doubt[i] ?? ANYTHING
    if (doubt === KNOWN) {
      if (bits.bytes[i] !== value[i]) return 'no'
    } else {
      answer = 'perhaps'
      foreign ||= doubt === SOMEBODY
    }
  }
  if (foreign || bits.not?.some(each => isThat(value, each))) return 'no'
  return answer
}

/** A value that reaches as far as what is excluded, and is it. */
const isThat = (value: Uint8Array, { at, value: other, mask }: Excluded): boolean =>
  at + other.length <= value.length &&
  other.every((byte, i) => (((value[at + i] ?? 0) ^ byte) & (mask[i] ?? 0)) === 0)

/** Is it within both ends, compared as numbers in network byte order? */
export function isWithin(bits: Bits, from: Uint8Array, to: Uint8Array): Answer {
  if (from.every(byte => byte === 0) && to.every(byte => byte === 0xff)) return 'yes'
  let above: Answer = 'perhaps'
  let below: Answer = 'perhaps'
  for (let i = 0; i < from.length; i++) {
    const doubt = bits.doubt[i] ?? ANYTHING
    // What comes before it leaves both open: no range was written about somebody.
    if (doubt !== KNOWN) return doubt === SOMEBODY ? 'no' : conjunction(above, below)
    const byte = bits.bytes[i] ?? 0
    if (above === 'perhaps' && byte !== from[i]) above = byte > (from[i] ?? 0) ? 'yes' : 'no'
    if (below === 'perhaps' && byte !== to[i]) below = byte < (to[i] ?? 0) ? 'yes' : 'no'
    if (above === 'no' || below === 'no') return 'no'
    if (above === 'yes' && below === 'yes') return 'yes'
  }
  return 'yes'
}

export const inverse = (answer: Answer): Answer =>
  answer === 'perhaps' ? answer : answer === 'yes' ? 'no' : 'yes'

/** All of them. */
export const conjunction = (...answers: Answer[]): Answer =>
  answers.includes('no') ? 'no' : answers.includes('perhaps') ? 'perhaps' : 'yes'

/** Any of them. */
export const disjunction = (...answers: Answer[]): Answer =>
  answers.includes('yes') ? 'yes' : answers.includes('perhaps') ? 'perhaps' : 'no'
