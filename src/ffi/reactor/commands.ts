/**
 * What a thread is told that runs a loop: its commands wait in its message port, and an eventfd(2) in the loop says that
 * there are some.
 */

import { writeSync } from 'node:fs'
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { libc, must } from '../ffi.ts'
import type { Source } from './reactor.ts'

const EFD_CLOEXEC_NONBLOCK = 0x80800

/** The maker's end. It is the maker who closes it. @throws SystemError */
export const makeBell = (): number => must('eventfd', libc.eventfd(0, EFD_CLOEXEC_NONBLOCK))

export function ring(bell: number): void {
  try {
    writeSync(bell, new BigUint64Array([1n]))
  } catch {
    // It rings already, or nobody is there to hear it.
  }
}

/** The thread's end. */
export class Commands<Command> implements Source {
  readonly #port: MessagePort | null
  readonly #obey: (command: Command) => void
  readonly #count = new Uint8Array(8)
  /** Of a bundle, it is looked for in its module each time. */
  readonly #receive = receiveMessageOnPort

  constructor(port: MessagePort | null, obey: (command: Command) => void) {
    this.#port = port
    this.#obey = obey
  }

  ready(bell: number): void {
    libc.read(bell, this.#count, this.#count.length)
    this.take()
  }

  /** Obeys what has been posted by now, whether the bell was heard or not. */
  take(): void {
    for (;;) {
      const next = this.#port === null ? undefined : this.#receive(this.#port)
      if (next === undefined) return
      this.#obey(next.message)
    }
  }

  fail(): void {}
}
