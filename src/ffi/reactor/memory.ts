/** One piece of memory, cut into arrays of 32-bit words that may hold pointers to each other. */

import { addressOf } from '../ffi.ts'

/** Each array begins at a multiple of this, in bytes. */
const ALIGNMENT = 64

export class Memory {
  readonly #buffer: ArrayBuffer
  readonly #base: bigint
  #used = 0

  constructor(bytes: number) {
    this.#buffer = new ArrayBuffer(bytes)
    this.#base = addressOf(new Uint8Array(this.#buffer))
  }

  /** The next so many words. @throws RangeError where the piece is used up */
  words(count: number): Int32Array {
    const words = new Int32Array(this.#buffer, this.#used, count)
    this.#used += Math.ceil(words.byteLength / ALIGNMENT) * ALIGNMENT
    return words
  }

  /** Writes a pointer: 64 bits, little endian. */
  point(words: Int32Array, at: number, target: Int32Array, index: number): void {
    const address = this.#base + BigInt(target.byteOffset + index * 4)
    words[at] = Number(BigInt.asIntN(32, address))
    words[at + 1] = Number(address >> 32n)
  }
}

/** What C functions are given. */
export const bytesOf = (words: Int32Array): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset, words.byteLength)
