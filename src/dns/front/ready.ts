/**
 * Answers that are ready: to the bytes of a question, from whoever sees the same, those of its answer.
 *
 * A question that is asked again is neither read nor looked up. What counts is all that it says but its number: the
 * case of its letters, its flags and its EDNS are the answer's too. Whatever is told to the zone ends all of it.
 *
 * There are two generations of answers: when the younger is full it becomes the elder, and that is forgotten but for what
 * was asked again meanwhile. So whoever asks for a thousand names that nobody has costs others a look-up, and no memory.
 */

/** Of each generation. */
const MOST = 2_048
/** In bytes: neither a question nor an answer that is longer is kept. */
export const LONGEST_KEPT = 512

export class Ready {
  #young = new Map<string, Uint8Array>()
  #old = new Map<string, Uint8Array>()

  get(key: string): Uint8Array | undefined {
    const there = this.#young.get(key)
    if (there !== undefined) return there
    const before = this.#old.get(key)
    if (before !== undefined) this.#keep(key, before)
    return before
  }

  set(key: string, answer: Uint8Array): void {
    if (answer.length <= LONGEST_KEPT) this.#keep(key, answer)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }

  #keep(key: string, answer: Uint8Array): void {
    if (this.#young.size >= MOST) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, answer)
  }
}
