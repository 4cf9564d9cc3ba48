/**
 * Who closes a descriptor when a worker dies.
 *
 * A thread that ends leaves its descriptors open in the process, and only the number could tell. So each
 * worker marks what it opens in a table that its maker shares; what is marked when it dies is closed.
 *
 * A number must be closed once: a moment later it is somebody else's connection, in another worker. So what is
 * given away is marked no more, and Node, which on its own account would close what a worker opened with `fs`,
 * is told not to (thread.ts).
 *
 * One descriptor is kept in reserve: at the limit (EMFILE) it is given up for a moment, so that a waiting
 * client can be accepted and refused at once instead of being left hanging.
 */

import { openSync, readFileSync } from 'node:fs'
import { libc } from '../ffi.ts'
import { resetOnClose } from '../socket.ts'

/** Numbers beyond are not marked. */
const LARGEST = 1 << 20

export class Descriptors {
  readonly #marks: Uint8Array
  #reserve = -1

  /** @param shared from Descriptors.table(); the maker keeps the other hand on it */
  constructor(shared: SharedArrayBuffer) {
    this.#marks = new Uint8Array(shared)
    this.refill()
  }

  static table(): SharedArrayBuffer {
    return new SharedArrayBuffer(LARGEST)
  }

  /** Takes charge of a descriptor. */
  own(fd: number): void {
    this.#marks[fd] = 1
  }

  /** It is somebody else's from now on. */
  disown(fd: number): void {
    this.#marks[fd] = 0
  }

  close(fd: number): void {
    this.disown(fd)
    libc.close(fd)
  }

  /** Frees one descriptor. @returns false when that was done already and not made good since */
  giveUpReserve(): boolean {
    if (this.#reserve < 0) return false
    this.close(this.#reserve)
    this.#reserve = -1
    return true
  }

  /** Takes a descriptor in reserve again, if there is one to be had. */
  refill(): void {
    if (this.#reserve >= 0) return
    try {
      this.#reserve = openSync('/dev/null', 'r')
      this.own(this.#reserve)
    } catch {
      // At the limit. The next one that is refused tries again.
    }
  }
}

/**
 * Closes all that is marked in the table of a worker that is no more; connections are reset, as they have not
 * come to their end.
 * @returns how many there were
 */
export function reclaim(shared: SharedArrayBuffer): number {
  const marks = new Uint8Array(shared)
  let closed = 0
  for (let fd = marks.indexOf(1); fd >= 0; fd = marks.indexOf(1, fd + 1)) {
    marks[fd] = 0
    resetOnClose(fd)
    libc.close(fd)
    closed++
  }
  return closed
}

/** How many descriptors this process may have. */
export function descriptorLimit(): number {
  const [, soft = ''] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  return soft === '' ? LARGEST : Number(soft)
}
