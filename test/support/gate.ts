/** Work that may go on side by side, and work that must be alone. */

export class Gate {
  readonly #inside = new Set<Promise<unknown>>()
  /** Whoever waits to be alone, one after the other; who comes later waits behind. */
  #closed: Promise<unknown> = Promise.resolve()

  async shared<T>(work: () => Promise<T>): Promise<T> {
    for (let closed: unknown; closed !== this.#closed; ) {
      closed = this.#closed
      await this.#closed
    }
    const done = work()
    const settled: Promise<void> = done
      .then(
        () => {},
        () => {},
      )
      .then(() => void this.#inside.delete(settled))
    this.#inside.add(settled)
    return done
  }

  alone<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#closed
    const done = (async () => {
      await before
      await Promise.all(this.#inside)
      return work()
    })()
    this.#closed = done.catch(() => {})
    return done
  }
}
