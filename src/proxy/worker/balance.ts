/**
 * Which of several targets a client is taken to: the one with the fewest clients, of those in turn. One that did not answer
 * a moment ago comes last, else it would be everybody's first choice.
 *
 * A target that was among those before keeps its clients, and what is known of it: where targets come and go all the time,
 * who has many would be taken for idle each time.
 */

import type { Destination } from '../destination.ts'

const SHUNNED_MS = 1_000

interface Seat {
  active: number
  failedAt: number
}

export class Balance {
  readonly destinations: readonly Destination[]
  readonly #seats: readonly Seat[]
  /** Of several that have the fewest it begins with the one after the last. */
  #first = 0

  /** @param before whose targets these follow */
  constructor(destinations: readonly Destination[], before?: Balance) {
    this.destinations = destinations
    const known = before === undefined ? new Map<string | undefined, Seat>() : before.#byName()
    this.#seats = destinations.map(
      each => known.get(nameOf(each)) ?? { active: 0, failedAt: Number.NEGATIVE_INFINITY },
    )
  }

  /** The index of the best target that was not tried; -1 when all were. */
  choose(tried: ReadonlySet<number> | undefined, now: number): number {
    let best = -1
    let least = Number.POSITIVE_INFINITY
    const { length } = this.#seats
    for (let i = 0; i < length; i++) {
      const index = (this.#first + i) % length
      const seat = this.#seats[index]
      if (seat === undefined || tried?.has(index)) continue
      const burden = seat.active + (now - seat.failedAt < SHUNNED_MS ? 1e9 : 0)
      if (burden < least) [best, least] = [index, burden]
    }
    this.#first = best + 1
    return best
  }

  enter(index: number): void {
    const seat = this.#seats[index]
    if (seat !== undefined) seat.active++
  }

  leave(index: number): void {
    const seat = this.#seats[index]
    if (seat !== undefined) seat.active--
  }

  failed(index: number, now: number): void {
    const seat = this.#seats[index]
    if (seat !== undefined) seat.failedAt = now
  }

  /** The index of the same target among those of another; -1: it is not there. */
  indexIn(other: Balance, index: number): number {
    const seat = this.#seats[index]
    return seat === undefined ? -1 : other.#seats.indexOf(seat)
  }

  /** The target, where it can be told from others and another has it no more. */
  leftBy(other: Balance, index: number): Destination | undefined {
    const destination = this.destinations[index]
    const isNamed = destination !== undefined && nameOf(destination) !== undefined
    return isNamed && this.indexIn(other, index) < 0 ? destination : undefined
  }

  #byName(): Map<string | undefined, Seat> {
    const known = new Map(this.destinations.map((each, index) => [nameOf(each), this.#seats[index] as Seat]))
    known.delete(undefined)
    return known
  }
}

/** What tells a target from others; undefined where that is a descriptor, which says nothing of what is behind it. */
const nameOf = (destination: Destination): string | undefined =>
  destination.kind === 'ip' && destination.netns === undefined
    ? Buffer.from(destination.address).toString('hex')
    : undefined
