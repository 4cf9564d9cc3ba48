/**
 * Descriptors of another process, by pidfd_open(2) and pidfd_getfd(2). For root, or a process of one's own.
 * glibc has these functions from 2.36 on.
 */

import { Fd } from './fd.ts'
import { addressOf, libc, must } from './ffi.ts'

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

/** include/uapi/asm-generic/ioctls.h */
const TIOCGWINSZ = 0x5413

/** How wide a terminal is. @returns undefined where it does not say */
export function columnsOfTerminal(terminal: Fd): number | undefined {
  // struct winsize begins with rows and columns, 16 bits each. Of smaller arrays V8 may move the memory.
  const size = new Uint16Array(64)
  const address = Number(addressOf(new Uint8Array(size.buffer)))
  return libc.ioctl(terminal.number, TIOCGWINSZ, address) < 0 ? undefined : size[1] || undefined
}
