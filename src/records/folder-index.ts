/**
 * The files of a folder of state, read once and again only where they have changed: for a
 * process that looks every second. What the index says is what the files say; it is speed, never truth.
 *
 * The kernel tells which files changed (ffi/watch.ts), so a look costs the same however many there are. The
 * watch is of a folder and not of its path; so each look asks first whether the path still leads there. When
 * the kernel has forgotten something, or the folder is another one, all of it is read again, under a new
 * watch that began before.
 *
 * Where no watch is to be had (fs.inotify.max_user_instances), files tell by themselves. Every file of ours
 * appears, changes and goes by rename or unlink, which changes its folder's time; so a folder whose time is
 * the same holds the same. Where it is not, each file is told by inode, time and size. The kernel's clock for
 * these stands still for some milliseconds: what changed that shortly before it was looked at may have changed
 * once more since, and is looked at again.
 */

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type FolderWatch, tryWatch } from '../ffi/watch.ts'
import { pathOf } from './run-directory.ts'

/** The clock of file times stands still for 10 ms at most: CONFIG_HZ is 100 at least. */
const STANDSTILL_MS = 20

interface Known<T> {
  /** Undefined: not one of the files that are looked for, or it cannot be understood. */
  value: T | undefined
  /** Undefined: it has to be read again, unless a watch says that it has not changed. */
  mark: string | undefined
}

interface Watched {
  /** Device, inode and path of the folder. */
  place: string
  watch: FolderWatch
}

export class FolderIndex<T> {
  readonly #folder: string
  readonly #read: (name: string) => T | undefined
  readonly #watch: typeof tryWatch
  #files = new Map<string, Known<T>>()
  #mark: string | undefined
  #watched: Watched | undefined
  #values: T[] = []

  /** @param read reads a file of the folder, by its name; undefined leaves it out */
  constructor(folder: string, read: (name: string) => T | undefined, watch = tryWatch) {
    this.#folder = folder
    this.#read = read
    this.#watch = watch
  }

  /** What is in all files now. The values are the index's own and must not be changed. */
  list(): readonly T[] {
    const folder = pathOf(this.#folder)
    const stats = statSync(folder, { throwIfNoEntry: false })
    const place = stats && `${stats.dev} ${stats.ino} ${folder}`
    const changed = this.#watched?.place === place ? this.#watched?.watch.changes() : undefined
    if (changed === undefined) this.#lookAnew(folder, place)
    else if (changed.size > 0) this.#lookAt(changed)
    return this.#values
  }

  #lookAt(changes: ReadonlyMap<string, boolean>): void {
    for (const [name, isThere] of changes) {
      const value = isThere ? this.#read(name) : undefined
      if (value === undefined) this.#files.delete(name)
      else this.#files.set(name, { value, mark: undefined })
    }
    this.#collect()
  }

  #lookAnew(folder: string, place: string | undefined): void {
    this.#watched?.watch[Symbol.dispose]()
    this.#watched = undefined
    // It begins before anything is looked at.
    const watch = place === undefined ? undefined : this.#watch(folder)
    if (watch !== undefined && place !== undefined) this.#watched = { place, watch }
    const mark = markOf(folder)
    if (mark === undefined || mark !== this.#mark) this.#look(folder)
    this.#mark = mark
  }

  #look(folder: string): void {
    const files = new Map<string, Known<T>>()
    for (const name of namesIn(folder)) {
      const mark = markOf(join(folder, name))
      const known = this.#files.get(name)
      const same = known !== undefined && mark !== undefined && known.mark === mark
      files.set(name, same ? known : { value: this.#read(name), mark })
    }
    this.#files = files
    this.#collect()
  }

  #collect(): void {
    this.#values = [...this.#files.values()].flatMap(({ value }) => (value === undefined ? [] : [value]))
  }
}

/** Changes whenever a file does; undefined where that cannot be relied upon yet, or there is none. */
function markOf(path: string): string | undefined {
  const now = Date.now()
  const file = statSync(path, { throwIfNoEntry: false })
  if (file === undefined || now - file.mtimeMs < STANDSTILL_MS) return undefined
  return `${file.ino} ${file.mtimeMs} ${file.size}`
}

const namesIn = (folder: string): string[] =>
  statSync(folder, { throwIfNoEntry: false }) === undefined ? [] : readdirSync(folder)
