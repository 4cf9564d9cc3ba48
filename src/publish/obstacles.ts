/**
 * What is in the way of things that shall be: a host address that is not there yet, a port that somebody else
 * has, a runtime that does not answer. All of that may pass, so each is tried again: the longer it has lasted,
 * the less often. Whoever asks is told why, and the log once.
 */

import { messageOf } from '../model/errors.ts'

/** Between two tries; in between, a quarter of the time that it has lasted. */
const SHORTEST_MS = 1_000
const LONGEST_MS = 15_000

interface Obstacle {
  why: string
  since: number
  nextAt: number
}

export class Obstacles {
  readonly #known = new Map<string, Obstacle>()
  readonly #now: () => number

  /** @param now a clock in milliseconds that is never set */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /**
   * Something could not be done.
   * @returns the reason where it is news
   */
  meet(id: string, thrown: unknown): string | undefined {
    const now = this.#now()
    const why = messageOf(thrown)
    const before = this.#known.get(id)
    const since = before?.since ?? now
    const pauseMs = Math.min(Math.max((now - since) / 4, SHORTEST_MS), LONGEST_MS)
    this.#known.set(id, { why, since, nextAt: now + pauseMs })
    return before !== undefined && kindOf(before.why) === kindOf(why) ? undefined : why
  }

  /** It could be done, or need not any more. @returns false where nothing was in its way */
  overcome(id: string): boolean {
    return this.#known.delete(id)
  }

  /** What is in its way. */
  why(id: string): string | undefined {
    return this.#known.get(id)?.why
  }

  /** True while it shall be left alone. */
  isResting(id: string): boolean {
    const obstacle = this.#known.get(id)
    return obstacle !== undefined && this.#now() < obstacle.nextAt
  }

  /** All that have something in their way. */
  get ids(): string[] {
    return [...this.#known.keys()]
  }
}

/** Without its numbers: descriptors and processes are others each time. */
const kindOf = (why: string): string => why.replace(/\d+/g, '')
