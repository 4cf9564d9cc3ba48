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

/** For the rest of the process. What it starts hears them again. Equivalent to: trap '' TERM … */
export function ignoreSignals(...signals: NodeJS.Signals[]): void {
  for (const signal of signals) libc.signal(constants.signals[signal], SIG_IGN)
}
