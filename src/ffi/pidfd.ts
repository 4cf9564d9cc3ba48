/**
 * Descriptors of another process, by pidfd_open(2) and pidfd_getfd(2). For root, or a process of one's own.
 * glibc has these functions from 2.36 on.
 */

import { Fd } from './fd.ts'
import { libc, must } from './ffi.ts'

/** @throws SystemError `ESRCH` where there is no such process */
export const openProcess = (pid: number): Fd => new Fd(must('pidfd_open', libc.pidfd_open(pid, 0)))

/** A copy of a descriptor of that process, closed on exec. @throws SystemError `EBADF`, `EPERM` */
export const copyDescriptor = (process: Fd, number: number): number =>
  must('pidfd_getfd', libc.pidfd_getfd(process.number, number, 0))

const POLLIN = 1

/** True once it has ended, waited for or not. */
export function hasEnded(process: Fd): boolean {
  const poll = Int16Array.of(0, 0, POLLIN, 0) // struct pollfd
  new Int32Array(poll.buffer)[0] = process.number
  libc.poll(new Uint8Array(poll.buffer), 1, 0)
  return ((poll[3] ?? 0) & POLLIN) !== 0
}
