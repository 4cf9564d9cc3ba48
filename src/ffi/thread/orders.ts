/** What a thread has been told to do and has not done yet, by number, for whoever tells it. */

export class Orders<Answer = void> {
  readonly #pending = new Map<number, (answer: Answer | undefined) => void>()
  #count = 0

  /**
   * @param send gets the number, which comes back with what the thread says when it has done it
   * @returns the answer; undefined where the thread ended before
   */
  give(send: (request: number) => void): Promise<Answer | undefined> {
    const request = this.#count++
    return new Promise(resolve => {
      this.#pending.set(request, resolve)
      send(request)
    })
  }

  done(request: number, answer?: Answer): void {
    this.#pending.get(request)?.(answer)
    this.#pending.delete(request)
  }

  /** The thread has ended. */
  end(): void {
    for (const request of [...this.#pending.keys()]) this.done(request)
  }
}

/**
 * The program of a thread.
 * @param maker import.meta.url of the file that starts it
 * @param bundled its name beside the bundle that holds that file
 * @param compiled where it is beside that file as compiled
 */
export const threadProgram = (maker: string, bundled: string, compiled = './worker/worker.js'): URL =>
  new URL(maker.endsWith('.cjs') ? `./${bundled}` : compiled, maker)
