/**
 * A file descriptor with an owner, closed exactly once.
 */

import { libc } from './ffi.ts'

export class Fd implements Disposable {
  #number: number

  constructor(number: number) {
    this.#number = number
  }

  /** @throws Error after close: a closed number may belong to somebody else by now */
  get number(): number {
    if (this.#number < 0) throw new Error('the descriptor is closed')
    return this.#number
  }

  close(): void {
    if (this.#number >= 0) libc.close(this.#number)
    this.#number = -1
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
