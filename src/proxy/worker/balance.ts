/**
 * Which of several targets a client is taken to: the one with the fewest clients. One that did not answer
 * a moment ago comes last, else it would be everybody's first choice.
 */

import type { Destination } from '../destination.ts'

const SHUNNED_MS = 1_000

export class Balance {
  readonly destinations: readonly Destination[]
  readonly #active: number[]
  readonly #failedAt: number[]

  constructor(destinations: readonly Destination[]) {
    this.destinations = destinations
    this.#active = destinations.map(() => 0)
    this.#failedAt = destinations.map(() => Number.NEGATIVE_INFINITY)
  }

  /** The index of the best target that was not tried; -1 when all were. */
  choose(tried: ReadonlySet<number> | undefined, now: number): number {
    let best = -1
    let least = Number.POSITIVE_INFINITY
    for (let index = 0; index < this.destinations.length; index++) {
      if (tried?.has(index)) continue
      const shunned = now - (this.#failedAt[index] ?? 0) < SHUNNED_MS
      const burden = (this.#active[index] ?? 0) + (shunned ? 1e9 : 0)
      if (burden < least) [best, least] = [index, burden]
    }
    return best
  }

  enter(index: number): void {
    this.#active[index] = (this.#active[index] ?? 0) + 1
  }

  leave(index: number): void {
    this.#active[index] = (this.#active[index] ?? 0) - 1
  }

  failed(index: number, now: number): void {
    this.#failedAt[index] = now
  }
}
