/**
 * Which files of a folder have changed, by inotify(7).
 *
 * The kernel queues an event before the call that made the change returns. So what was done before `changes`
 * is called is among them, whoever did it.
 *
 * Source: linux/inotify.h.
 */

import { constants } from 'node:os'
import { hasCode } from '../model/errors.ts'
import { Fd } from './fd.ts'
import { errno, libc, must, SystemError } from './ffi.ts'

const IN_MODIFY = 0x2
const IN_CLOSE_WRITE = 0x8
const IN_MOVED_FROM = 0x40
const IN_MOVED_TO = 0x80
const IN_CREATE = 0x100
const IN_DELETE = 0x200
const IN_DELETE_SELF = 0x400
const IN_MOVE_SELF = 0x800
const IN_UNMOUNT = 0x2000
const IN_Q_OVERFLOW = 0x4000
const IN_IGNORED = 0x8000
const IN_ONLYDIR = 0x1000000
const IN_NONBLOCK = 0x800
const IN_CLOEXEC = 0x80000

const OF_FILES = IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE
const OF_FOLDER = IN_DELETE_SELF | IN_MOVE_SELF

/** After these it is not known any more what is in the folder. */
const LOST = OF_FOLDER | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED

const HEADER = 16 // struct inotify_event
const { EAGAIN, EINTR } = constants.errno

export class FolderWatch implements Disposable {
  readonly #fd: Fd
  readonly #buffer = Buffer.alloc(16 * 1024)

  /**
   * Hears of what changes from now on.
   * @throws SystemError `ENOENT`; `EMFILE` or `ENOSPC` where the user has as many as he may; `ENOSYS`
   */
  constructor(folder: string) {
    this.#fd = new Fd(must('inotify_init1', libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)))
    try {
      must(
        'inotify_add_watch',
        libc.inotify_add_watch(this.#fd.number, folder, OF_FILES | OF_FOLDER | IN_ONLYDIR),
      )
    } catch (thrown) {
      this.#fd.close()
      throw thrown
    }
  }

  /**
   * Names of the files that appeared, changed or went since it was last asked, and whether they were there after
   * their last change; undefined when that is not known, and never will be again.
   */
  changes(): Map<string, boolean> | undefined {
    const names = new Map<string, boolean>()
    for (let length = this.#read(); length > 0; length = this.#read()) {
      for (let at = 0; at < length; ) {
        const mask = this.#buffer.readUInt32LE(at + 4)
        if ((mask & LOST) !== 0) return undefined
        const end = at + HEADER + this.#buffer.readUInt32LE(at + 12)
        const [name = ''] = this.#buffer.toString('utf8', at + HEADER, end).split('\0', 1)
        names.set(name, (mask & (IN_DELETE | IN_MOVED_FROM)) === 0)
        at = end
      }
    }
    return names
  }

  /** 0 when there is nothing more. */
  #read(): number {
    for (;;) {
      const length = libc.read(this.#fd.number, this.#buffer, this.#buffer.length)
      if (length >= 0) return length
      const number = errno()
      if (number === EAGAIN) return 0
      if (number !== EINTR) throw new SystemError('read', number)
    }
  }

  [Symbol.dispose](): void {
    this.#fd.close()
  }
}

/** A watch on a folder; undefined where there is no folder, or no more watches are to be had. */
export function tryWatch(folder: string): FolderWatch | undefined {
  try {
    return new FolderWatch(folder)
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'ENOTDIR', 'EMFILE', 'ENFILE', 'ENOSPC', 'ENOSYS')) return undefined
    throw thrown
  }
}
