/**
 * A file descriptor with an owner, closed exactly once.
 */

import { readdirSync } from 'node:fs'
import { libc, must } from './ffi.ts'

const F_SETFD = 2
const F_DUPFD_CLOEXEC = 1030
const FD_CLOEXEC = 1
const STDERR = 2

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

  get isOpen(): boolean {
    return this.#number >= 0
  }

  close(): void {
    if (this.#number >= 0) libc.close(this.#number)
    this.#number = -1
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/** A second descriptor of the same file, which children do not get. @throws SystemError */
export const duplicate = (fd: number): number => must('fcntl', libc.fcntl(fd, F_DUPFD_CLOEXEC, 0))

/**
 * What this process holds, or was handed by whoever started it, its children do not get, but for stdin, stdout and
 * stderr.
 */
export function keepFromChildren(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const number = Number(name)
    // One of them is the folder's, and is closed by now.
    if (number > STDERR) libc.fcntl(number, F_SETFD, FD_CLOEXEC)
  }
}
