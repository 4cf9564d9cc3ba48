/**
 * When this host looks whether what leads to the others is as it should be.
 *
 *     told of a loss, or something failed ──▶ a look, a second after the last one at the earliest
 *     nobody told of anything ──────────────▶ a look each minute
 *     meanwhile, every few seconds ─────────▶ a glance: what costs nothing
 */

import { setTimeout as sleep } from 'node:timers/promises'

const REST_MS = 5_000
const LOOK_MS = 60_000
/** Where something is taken away again and again. */
const BETWEEN_MS = 1_000

export interface LookingOptions {
  /** Before it is looked or glanced. */
  prepare(): Promise<void>
  look(): void
  glance(): unknown
  /** Something is not as it should be, of which nobody tells. */
  isAmiss(): boolean
  /** Until the next glance; absent: some seconds. */
  restMs(): number | undefined
}

export class Looking {
  readonly #options: LookingOptions
  readonly #ended: AbortSignal
  #isDue = true
  #lookedAt = Number.NEGATIVE_INFINITY
  #wake = (): void => {}

  constructor(options: LookingOptions, ended: AbortSignal) {
    this.#options = options
    this.#ended = ended
  }

  /** It is time for a look. */
  due(): void {
    this.#isDue = true
    this.#wake()
  }

  /** Settles when it is over. */
  async run(): Promise<void> {
    const { prepare, look, glance, isAmiss } = this.#options
    while (!this.#ended.aborted) {
      await prepare()
      if (this.#ended.aborted) return
      const isOld = performance.now() - this.#lookedAt >= LOOK_MS
      if (isAmiss() || this.#isDue || isOld) {
        this.#isDue = false
        this.#lookedAt = performance.now()
        look()
      }
      glance()
      await this.#sleep(BETWEEN_MS)
      if (!this.#isDue) await this.#rest()
    }
  }

  async #rest(): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await this.#sleep(this.#options.restMs() ?? REST_MS, woken.signal)
    this.#wake = () => {}
  }

  async #sleep(ms: number, woken?: AbortSignal): Promise<void> {
    const signal = woken === undefined ? this.#ended : AbortSignal.any([this.#ended, woken])
    await sleep(ms, undefined, { signal }).catch(() => {})
  }
}
