/**
 * SHA-256 of a short text.
 *
 * Node's crypto takes 4 ms to load and start in a process that lives 60 and hashes a hundred bytes.
 * Source: FIPS 180-4, sections 4.1.2, 5 and 6.2.
 */

const BLOCK_BYTES = 64

/** The first 32 bits behind the point of the square roots of the first primes. */
const INITIAL = Int32Array.of(
  0x6a09_e667,
  0xbb67_ae85,
  0x3c6e_f372,
  0xa54f_f53a,
  0x510e_527f,
  0x9b05_688c,
  0x1f83_d9ab,
  0x5be0_cd19,
)

/** The same of the cube roots of the first 64. Not computed: that takes longer than a hash, in a process that makes few. */
// biome-ignore format: as in the standard
const CONSTANTS = Int32Array.of(
  0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
  0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
  0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
  0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
  0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
  0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
  0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
  0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
)

const rotate = (x: number, by: number): number => (x >>> by) | (x << (32 - by))

/** After so many in one process Node's own, which is some times faster, has paid for its loading. */
const MANY = 32
let hashed = 0
let native: ((algorithm: string, text: string) => string) | undefined

/** The digest in hex, 64 digits. The text is hashed as UTF-8. */
export function sha256(text: string): string {
  if (hashed++ < MANY) return ownSha256(text)
  // Node has it from 20.12 on, and tells from 20.16 on.
  native ??= process.getBuiltinModule?.('node:crypto').hash ?? ((_, text) => ownSha256(text))
  return native('sha256', text)
}

/** The same, without Node's. */
export function ownSha256(text: string): string {
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
