/**
 * SHA-256 of a short text.
 *
 * Node's crypto takes 4 ms to load and start in a process that lives 60 and hashes a hundred bytes.
 * Source: FIPS 180-4, sections 4.1.2, 5 and 6.2.
 */

/** The first primes, of whose roots the constants of this family of hashes are the fractions. */
export function firstPrimes(count: number): number[] {
  const found: number[] = []
  for (let n = 2; found.length < count; n++) if (found.every(prime => n % prime !== 0)) found.push(n)
  return found
}

const BLOCK_BYTES = 64
const primes = firstPrimes(64)

/** The first 32 bits behind the point. */
const fraction = (x: number): number => ((x - Math.floor(x)) * 0x1_0000_0000) | 0

const rotate = (x: number, by: number): number => (x >>> by) | (x << (32 - by))

const INITIAL = Int32Array.from(primes.slice(0, 8), prime => fraction(Math.sqrt(prime)))
const CONSTANTS = Int32Array.from(primes, prime => fraction(Math.cbrt(prime)))

/** The digest in hex, 64 digits. The text is hashed as UTF-8. */
export function sha256(text: string): string {
  const state = INITIAL.slice()
  const message = padded(Buffer.from(text), BLOCK_BYTES)
  for (let at = 0; at < message.byteLength; at += BLOCK_BYTES) addBlock(state, message, at)
  let hex = ''
  for (const word of state) hex += (word >>> 0).toString(16).padStart(8, '0')
  return hex
}

/** The bytes, a 1 bit, zeros, and the length in bits in the last eighth of a block, as whole blocks. */
export function padded(bytes: Uint8Array, blockBytes: number): DataView {
  const least = bytes.length + 1 + blockBytes / 8
  const message = new Uint8Array(Math.ceil(least / blockBytes) * blockBytes)
  message.set(bytes)
  message[bytes.length] = 0x80
  const view = new DataView(message.buffer)
  view.setBigUint64(message.length - 8, BigInt(bytes.length) * 8n)
  return view
}

/** Used again by every block: a collection hashes as many names as there are leases. */
const w = new Int32Array(64)

// Plain assignments: rotating eight names by destructuring made this the better half of a collection.
function addBlock(state: Int32Array, message: DataView, at: number): void {
  for (let i = 0; i < 16; i++) w[i] = message.getInt32(at + i * 4)
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15] ?? 0
    const y = w[i - 2] ?? 0
    const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)
    const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10)
    w[i] = (w[i - 16] ?? 0) + s0 + (w[i - 7] ?? 0) + s1
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state
  for (let i = 0; i < 64; i++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (CONSTANTS[i] ?? 0) + (w[i] ?? 0)) | 0
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  const sums = [a, b, c, d, e, f, g, h]
  for (const [i, sum] of sums.entries()) state[i] = (state[i] ?? 0) + sum
}
