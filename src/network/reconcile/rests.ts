/**
 * How often something is put back that somebody takes away again and again: a few times at once, since one who reloads
 * may do it in several steps; then after pauses that double, up to a minute. Both sides go on, and neither spins.
 */

/** So many times without a pause. */
const AT_ONCE = 4
const SHORTEST_MS = 100
const LONGEST_MS = 60_000
/** Nobody fights any more once nothing was taken for so long, or for four pauses. */
const QUIET_MS = 5_000

interface Fight {
  times: number
  last: number
  pauseMs: number
}

export class Rests {
  readonly #fights = new Map<string, Fight>()
  readonly #now: () => number

  /** @param now a clock in milliseconds that is never set */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** How long a subject is still to be left alone; 0: it may be put back. */
  restMs(subject: string): number {
    const fight = this.#fights.get(subject)
    return fight === undefined ? 0 : Math.max(0, fight.last + fight.pauseMs - this.#now())
  }

  /**
   * A subject was put back, or it was tried.
   * @returns `too-many` when it begins to rest, `many` as long as it does
   */
  wasMended(subject: string): 'few' | 'too-many' | 'many' {
    const now = this.#now()
    const before = this.#fights.get(subject)
    const isOver = before !== undefined && now - before.last > Math.max(QUIET_MS, 4 * before.pauseMs)
    const times = before === undefined || isOver ? 1 : before.times + 1
    const pauseMs = times < AT_ONCE ? 0 : Math.min(SHORTEST_MS * 2 ** (times - AT_ONCE), LONGEST_MS)
    this.#fights.set(subject, { times, last: now, pauseMs })
    return times < AT_ONCE ? 'few' : times === AT_ONCE ? 'too-many' : 'many'
  }
}
