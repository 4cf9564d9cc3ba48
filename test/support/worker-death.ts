/** The descriptors of this process, and a worker thread that dies of one of them. */

import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { libc } from '../../src/ffi/ffi.ts'

/** What is open, by number: what /proc/self/fd says of it. */
export function openFiles(): Map<number, string> {
  const found = new Map<number, string>()
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      found.set(Number(fd), readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      // closed since the folder was listed
    }
  }
  return found
}

/** The epoll descriptor in which a socket is watched. */
export function epollOf(socket: number): number {
  for (const [fd, what] of openFiles()) {
    if (!what.includes('eventpoll')) continue
    if (new RegExp(`^tfd: +${socket} `, 'm').test(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))) return fd
  }
  throw new Error(`nobody watches ${socket}`)
}

/** Puts something else in the place of a descriptor: a worker whose epoll it was dies when it wakes. */
export function spoil(fd: number): void {
  libc.close(fd)
  const opened = []
  while (opened.at(-1) !== fd) opened.push(openSync('/dev/null', 'r'))
  for (const other of opened) if (other !== fd) closeSync(other)
}

/** The threads of this process. */
export const threads = (): string[] => readdirSync('/proc/self/task')
