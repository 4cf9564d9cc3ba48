/**
 * Waits until descriptors can be read that Node has no events for (netlink), without holding up this thread.
 *
 * It is poll(2) in a thread of the pool, which has that one thread for as long as somebody waits. An eventfd wakes it
 * when the waiting is to end; should nobody say so, it looks up every second, since a process that ends waits for its
 * threads.
 */

import { Fd } from './fd.ts'
import { aside, libc, must } from './ffi.ts'

const POLLIN = 1
const EFD_CLOEXEC = 0x80000
const EFD_NONBLOCK = 0x800
const LOOK_UP_MS = 1_000
/** Of struct pollfd. */
const SIZE = 8
/** V8 may move what is smaller. */
const SMALLEST = 64

export class Readable implements Disposable {
  readonly #wake = new Fd(must('eventfd', libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)))
  readonly #table: Uint8Array
  readonly #view: DataView
  readonly #count: number
  #waiting: Promise<unknown> | undefined
  #isOver = false

  /** @param fds they must stay open until this is disposed of */
  constructor(fds: readonly number[]) {
    const all = [...fds, this.#wake.number]
    this.#count = all.length
    this.#table = new Uint8Array(Math.max(SMALLEST, all.length * SIZE))
    this.#view = new DataView(this.#table.buffer)
    for (const [i, fd] of all.entries()) {
      this.#view.setInt32(i * SIZE, fd, true)
      this.#view.setInt16(i * SIZE + 4, POLLIN, true)
    }
  }

  /** True when there is something to be read; false when it is over. One may wait at a time. */
  async wait(): Promise<boolean> {
    while (!this.#isOver) {
      const done = aside('poll', this.#table, this.#count, LOOK_UP_MS)
      this.#waiting = done
      const ready = await done
      if (ready > 0 && !this.#isOver) return true
    }
    return false
  }

  /** Ends the waiting. */
  async end(): Promise<void> {
    this.#isOver = true
    libc.write(this.#wake.number, new Uint8Array(new BigUint64Array([1n]).buffer), 8)
    await this.#waiting
    this[Symbol.dispose]()
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    this.#wake.close()
  }
}
