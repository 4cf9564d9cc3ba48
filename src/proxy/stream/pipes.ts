/**
 * Pipes through which bulk data passes from socket to socket without being copied.
 *
 * A pipe is borrowed while bytes are in flight; between two bursts a connection has none. Empty ones go
 * back and the next burst takes them, of any connection.
 */

import { libc } from '../../ffi/ffi.ts'
import type { Descriptors } from '../../ffi/reactor/descriptors.ts'

const O_NONBLOCK = 0x800
const O_CLOEXEC = 0x80000
const F_SETPIPE_SZ = 1031

/** Kept for the next burst; more than ever are in flight at once on a few processors. */
const KEPT = 16

export interface Pipe {
  readonly read: number
  readonly write: number
  /** Bytes in it. */
  held: number
}

export class Pipes {
  readonly #descriptors: Descriptors
  readonly #capacity: number
  readonly #idle: Pipe[] = []
  readonly #ends = new Int32Array(2)
  readonly #endBytes = new Uint8Array(this.#ends.buffer)

  /** @param capacity asked of the kernel for each, in bytes; it may give less */
  constructor(descriptors: Descriptors, capacity: number) {
    this.#descriptors = descriptors
    this.#capacity = capacity
  }

  /** An empty pipe; undefined where no descriptor is left. */
  borrow(): Pipe | undefined {
    return this.#idle.pop() ?? this.#open()
  }

  /** Takes a pipe back. One that still holds bytes, of a connection that broke off, is closed. */
  giveBack(pipe: Pipe): void {
    if (pipe.held === 0 && this.#idle.length < KEPT) {
      this.#idle.push(pipe)
      return
    }
    this.#descriptors.close(pipe.read)
    this.#descriptors.close(pipe.write)
  }

  #open(): Pipe | undefined {
    if (libc.pipe2(this.#endBytes, O_NONBLOCK | O_CLOEXEC) < 0) return undefined
    const [read = -1, write = -1] = this.#ends
    this.#descriptors.own(read)
    this.#descriptors.own(write)
    // Refused where the user's share of pipe memory is used up; the pipe is then a small one.
    libc.fcntl(write, F_SETPIPE_SZ, this.#capacity)
    return { read, write, held: 0 }
  }
}
