/**
 * Deadlines: a heap ordered by time, one entry for each thing that waits.
 *
 * Whoever is active often does not move its deadline each time; it lets it come, looks how long it has
 * really been idle, and sets it anew.
 */

/** Something with at most one deadline. The two fields belong to Timers. */
export interface Timed {
  /** On the reactor's clock, in ms. */
  wakeAt: number
  /** Index in the heap, or -1. */
  heapIndex: number
  /** The deadline has come, and is gone unless it is set again, to a later time. */
  expire(): void
  /** It threw. Ends what it stands for, without a further word. */
  fail(): void
}

export class Timers {
  readonly #heap: Timed[] = []

  get size(): number {
    return this.#heap.length
  }

  /** When the next deadline comes; Infinity without one. */
  get next(): number {
    return this.#heap[0]?.wakeAt ?? Number.POSITIVE_INFINITY
  }

  /** Sets or moves the deadline. */
  set(item: Timed, wakeAt: number): void {
    if (item.heapIndex < 0) item.heapIndex = this.#heap.push(item) - 1
    item.wakeAt = wakeAt
    this.#settle(item)
  }

  /** Forgets the deadline; nothing happens where there is none. */
  clear(item: Timed): void {
    const { heapIndex } = item
    if (heapIndex < 0) return
    item.heapIndex = -1
    const last = this.#heap.pop()
    if (last === undefined || last === item) return
    this.#put(last, heapIndex)
    this.#settle(last)
  }

  /** Takes out one whose deadline has come. */
  takeDue(now: number): Timed | undefined {
    const first = this.#heap[0]
    if (first === undefined || first.wakeAt > now) return undefined
    this.clear(first)
    return first
  }

  #put(item: Timed, index: number): void {
    this.#heap[index] = item
    item.heapIndex = index
  }

  #settle(item: Timed): void {
    let index = item.heapIndex
    for (;;) {
      const above = (index - 1) >> 1
      const parent = this.#heap[above]
      if (index === 0 || parent === undefined || parent.wakeAt <= item.wakeAt) break
      this.#put(parent, index)
      index = above
    }
    for (;;) {
      const left = 2 * index + 1
      const right = this.#heap[left + 1]
      let child = this.#heap[left]
      if (child === undefined) break
      if (right !== undefined && right.wakeAt < child.wakeAt) child = right
      if (child.wakeAt >= item.wakeAt) break
      const below = child.heapIndex
      this.#put(child, index)
      index = below
    }
    this.#put(item, index)
  }
}
