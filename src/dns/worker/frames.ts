/** Messages over TCP: each behind its length, RFC 1035, 4.2.2. */

export class Frames {
  readonly #most: number
  #rest: Uint8Array = new Uint8Array()

  /** @param most bytes of a message */
  constructor(most = 0xffff) {
    this.#most = most
  }

  /** The messages that are complete; undefined: one is too long. */
  take(data: Uint8Array): Uint8Array[] | undefined {
    const bytes = this.#rest.length === 0 ? data : joined(this.#rest, data)
    const complete: Uint8Array[] = []
    let at = 0
    while (at + 2 <= bytes.length) {
      const length = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
      if (length > this.#most) return undefined
      const end = at + 2 + length
      if (end > bytes.length) break
      complete.push(new Uint8Array(bytes.subarray(at + 2, end)))
      at = end
    }
    this.#rest = new Uint8Array(bytes.subarray(at))
    return complete
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length)
  both.set(one)
  both.set(other, one.length)
  return both
}

export function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(message.length + 2)
  frame.set([message.length >> 8, message.length & 0xff])
  frame.set(message, 2)
  return frame
}
