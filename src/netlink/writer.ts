/**
 * Where messages are built: one buffer, at whose end everything is written in place. A message has some thirty
 * attributes within each other; an array for each of them, copied into the next, took longer than the kernel.
 */

export class Writer {
  /** Of no meaning beyond `length`. Another one after it has grown. */
  bytes = Buffer.alloc(4096)
  length = 0

  /** Zeroes that are to be written over. @returns where they begin */
  reserve(size: number): number {
    const start = this.extend(size)
    // By hand: these are some bytes, for which a call of `fill` takes longer.
    for (let at = start; at < this.length; at++) this.bytes[at] = 0
    return start
  }

  /** As reserve, with whatever lies there: all of it has to be written over. */
  extend(size: number): number {
    const start = this.length
    this.length += size
    if (this.length > this.bytes.length) this.#grow(start)
    return start
  }

  append(bytes: Uint8Array): void {
    const at = this.extend(bytes.length)
    this.bytes.set(bytes, at)
  }

  /** Zeroes up to the next multiple of four, counted from `start`. */
  align(start: number): void {
    const over = (this.length - start) & 3
    if (over !== 0) this.reserve(4 - over)
  }

  /** 16 bits, low byte first, over what was written. */
  set16(at: number, value: number): void {
    this.bytes[at] = value
    this.bytes[at + 1] = value >> 8
  }

  #grow(used: number): void {
    const before = this.bytes.subarray(0, used)
    this.bytes = Buffer.alloc(2 * this.length)
    this.bytes.set(before)
  }
}

/** One for all, as a stack: whoever begins behind what others have begun takes away what he wrote. */
const shared = new Writer()

/** What `write` writes, as bytes of their own. */
export function written(write: (to: Writer) => void): Uint8Array {
  const start = shared.length
  try {
    write(shared)
    return new Uint8Array(shared.bytes.subarray(start, shared.length))
  } finally {
    shared.length = start
  }
}
