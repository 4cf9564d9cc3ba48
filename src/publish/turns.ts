/** Work that must not overlap, by what it is about: one after the other, in the order in which it was asked for. */

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Does the work when nothing else about `key` is being done. It must not ask for another turn of that key. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key)
    const turn = (async () => {
      await before?.catch(() => {}) // whoever asked for it is told
      return work()
    })()
    this.#last.set(key, turn)
    try {
      return await turn
    } finally {
      if (this.#last.get(key) === turn) this.#last.delete(key)
    }
  }
}
