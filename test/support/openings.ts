/** Whether somebody has opened a file since, by inotify(7). */

import { Fd } from '../../src/ffi/fd.ts'
import { libc, must } from '../../src/ffi/ffi.ts'

const IN_OPEN = 0x20
const IN_NONBLOCK = 0x800

export function openings(path: string) {
  const fd = new Fd(must('inotify_init1', libc.inotify_init1(IN_NONBLOCK)))
  must('inotify_add_watch', libc.inotify_add_watch(fd.number, path, IN_OPEN))
  const event = Buffer.alloc(4096)
  return {
    happened: () => libc.read(fd.number, event, event.length) > 0,
    [Symbol.dispose]: () => fd.close(),
  }
}
