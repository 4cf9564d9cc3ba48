/**
 * Work that goes on for as long as this host is on a network: it ends only to begin anew, and what fails is tried again,
 * a little later each time. Why it fails is remembered, and said once.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, messageOf } from '../model/errors.ts'

const RETRY_MS = [100, 250, 500, 1_000, 2_000, 5_000]
/** Of what only people can change. */
const STUCK_MS = 15_000

/** What only people can change: another has our id, the network is cut otherwise, or it is full. */
export const isStuck = (thrown: unknown): boolean => hasCode(thrown, 'conflict', 'exhausted')

export class Trying {
  readonly #ended: AbortSignal
  readonly #random: () => number
  readonly #say: (trouble: string | undefined) => void
  #trouble: string | undefined

  /** @param say hears why nothing goes on, when that is another reason than before; undefined: it goes on */
  constructor(ended: AbortSignal, random: () => number, say: (trouble: string | undefined) => void) {
    this.#ended = ended
    this.#random = random
    this.#say = say
  }

  get trouble(): string | undefined {
    return this.#trouble
  }

  /** @param trouble undefined: all is well */
  note(trouble: string | undefined): void {
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    this.#say(trouble)
  }

  /** @param work ends when it is time to begin it anew; `failed` hears what it threw */
  async forEver(work: () => Promise<void>, failed: (thrown: unknown) => void = () => {}): Promise<void> {
    for (let failures = 0; !this.#ended.aborted; ) {
      try {
        await work()
        failures = 0
      } catch (thrown) {
        if (this.#ended.aborted) return
        this.note(messageOf(thrown))
        failed(thrown)
        const wait = isStuck(thrown) ? STUCK_MS : (RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 0)
        failures++
        await this.#sleep(wait * (0.5 + this.#random() / 2))
      }
    }
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ended }).catch(() => {})
  }
}
