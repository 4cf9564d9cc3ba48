/**
 * SHA-512 of a short text, which the reference plugins name their chains by.
 *
 * Not Node's, for the reason given in sha256.ts. Source: FIPS 180-4, sections 4.1.3, 5 and 6.4.
 */

import { padded } from './sha256.ts'

/** The first primes, of whose roots the constants of this family of hashes are the fractions. */
function firstPrimes(count: number): number[] {
  const found: number[] = []
  for (let n = 2; found.length < count; n++) if (found.every(prime => n % prime !== 0)) found.push(n)
  return found
}

const MASK = (1n << 64n) - 1n
const BLOCK_BYTES = 128

/** The first 64 bits behind the point of the nth root. */
function fractionOfRoot(value: bigint, n: 2n | 3n): bigint {
  const scaled = value << (64n * n)
  let root = 1n << 74n // above every root that is asked for
  for (;;) {
    const next = ((n - 1n) * root + scaled / root ** (n - 1n)) / n
    if (next >= root) return root & MASK
    root = next
  }
}

const rotate = (x: bigint, by: bigint): bigint => ((x >> by) | (x << (64n - by))) & MASK

interface Tables {
  initial: bigint[]
  constants: bigint[]
}

let computed: Tables | undefined

/** Computed when first asked for, and once: it takes longer than a hash. */
function tables(): Tables {
  if (computed === undefined) {
    const primes = firstPrimes(80).map(BigInt)
    const constants = primes.map(prime => fractionOfRoot(prime, 3n))
    computed = { constants, initial: primes.slice(0, 8).map(prime => fractionOfRoot(prime, 2n)) }
  }
  return computed
}

/** The digest in hex, 128 digits. The text is hashed as UTF-8. */
export function sha512(text: string): string {
  const { initial, constants } = tables()
  const state = [...initial]
  const message = padded(Buffer.from(text), BLOCK_BYTES)
  for (let at = 0; at < message.byteLength; at += BLOCK_BYTES) addBlock(state, constants, message, at)
  return state.map(word => word.toString(16).padStart(16, '0')).join('')
}

function addBlock(state: bigint[], constants: bigint[], message: DataView, at: number): void {
  const w = Array.from({ length: 16 }, (_, i) => message.getBigUint64(at + i * 8))
  const word = (i: number): bigint => w[i] ?? 0n
  for (let i = 16; i < 80; i++) {
    const [x, y] = [word(i - 15), word(i - 2)]
    const s0 = rotate(x, 1n) ^ rotate(x, 8n) ^ (x >> 7n)
    const s1 = rotate(y, 19n) ^ rotate(y, 61n) ^ (y >> 6n)
    w.push((word(i - 16) + s0 + word(i - 7) + s1) & MASK)
  }
  let [a = 0n, b = 0n, c = 0n, d = 0n, e = 0n, f = 0n, g = 0n, h = 0n] = state
  for (let i = 0; i < 80; i++) {
    const s1 = rotate(e, 14n) ^ rotate(e, 18n) ^ rotate(e, 41n)
    const t1 = h + s1 + ((e & f) ^ (~e & MASK & g)) + (constants[i] ?? 0n) + word(i)
    const s0 = rotate(a, 28n) ^ rotate(a, 34n) ^ rotate(a, 39n)
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c))
    ;[h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) & MASK, c, b, a, (t1 + t2) & MASK]
  }
  for (const [i, sum] of [a, b, c, d, e, f, g, h].entries()) state[i] = ((state[i] ?? 0n) + sum) & MASK
}
