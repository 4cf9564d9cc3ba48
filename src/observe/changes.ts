/**
 * What has changed since somebody looked, for whoever looks again and again: on a host of thousands most is as it was, and
 * need not be told once more.
 */

import type { Counts, Traffic } from './counters.ts'

/** What a look is known by, for the next one. */
export interface Look {
  /** Milliseconds since the epoch. */
  at: number
  /** Another one where things came or went: then all is told. */
  generation: number
}

interface Mark {
  /** Of what only grows. */
  sum: number
  active: number
  at: number
}

type Numbers = Traffic & Partial<Counts>

export class Changes {
  /** Of one daemon; its successor begins later. */
  generation = Date.now()
  #marks = new Map<string, Mark>()

  /** @param all by the key that each has for as long as it is there */
  note(at: number, all: readonly (readonly [key: string, numbers: Numbers])[]): void {
    const marks = new Map<string, Mark>()
    let isOther = all.length !== this.#marks.size
    for (const [key, numbers] of all) {
      const { connections = 0, refused = 0, evicted = 0, active = 0 } = numbers
      const { bytesIn, bytesOut, packetsIn, packetsOut, dropped, denied = 0 } = numbers
      const sum =
        denied + bytesIn + bytesOut + packetsIn + packetsOut + dropped + connections + refused + evicted
      const before = this.#marks.get(key)
      isOther ||= before === undefined
      marks.set(key, before?.sum === sum && before.active === active ? before : { sum, active, at })
    }
    this.#marks = marks
    if (isOther) this.generation++
  }

  /** @param look absent: everything has */
  hasChanged(key: string, look: Look | undefined): boolean {
    if (look?.generation !== this.generation) return true
    return (this.#marks.get(key)?.at ?? 0) > look.at
  }
}
