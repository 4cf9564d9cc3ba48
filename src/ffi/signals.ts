/**
 * Signals that a process does not want to hear.
 *
 * They are ignored in the kernel. A handler of Node's would do as well, but for this: each signal would
 * interrupt the system call that is under way, and of many at once Node forgets some, such as the one that
 * tells of a child's end.
 */

import { constants } from 'node:os'
import { libc } from './ffi.ts'

const SIG_IGN = 1n // signal.h
const SIG_BLOCK = 0
const SIG_SETMASK = 2
const SIGSET_BYTES = 128

/** For the rest of the process. What it starts hears them again. Equivalent to: trap '' TERM … */
export function ignoreSignals(...signals: NodeJS.Signals[]): void {
  for (const signal of signals) libc.signal(constants.signals[signal], SIG_IGN)
}

/**
 * Runs `work` while no signal interrupts this thread: for C code that takes an interrupted system call for
 * a failure. Another thread hears what comes, or this one afterwards.
 */
export function uninterrupted<T>(work: () => T): T {
  const before = new Uint8Array(SIGSET_BYTES)
  libc.pthread_sigmask(SIG_BLOCK, new Uint8Array(SIGSET_BYTES).fill(0xff), before)
  try {
    return work()
  } finally {
    libc.pthread_sigmask(SIG_SETMASK, before, null)
  }
}
