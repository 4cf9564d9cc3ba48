/**
 * The files of a folder of the run directory, read once and again only where they have changed: for a
 * process that looks every second. What the index says is what the files say; it is speed, never truth.
 *
 * Every file of ours appears, changes and goes by rename or unlink, which changes its folder's time. So a
 * folder whose time is the same holds the same. Where it is not, each file is told by inode, time and size.
 * The kernel's clock for these stands still for some milliseconds: what changed that shortly before it was
 * looked at may have changed once more since, and is looked at again.
 */

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { runDirectory } from './state.ts'

/** The clock of file times stands still for 10 ms at most: CONFIG_HZ is 100 at least. */
const STANDSTILL_MS = 20

interface Known<T> {
  /** Undefined: not one of the files that are looked for, or it cannot be understood. */
  value: T | undefined
  /** Undefined: it has to be read again. */
  mark: string | undefined
}

export class FolderIndex<T> {
  readonly #folder: string
  readonly #read: (name: string) => T | undefined
  #files = new Map<string, Known<T>>()
  #mark: string | undefined
  #values: T[] = []

  /** @param read reads a file of the folder, by its name; undefined leaves it out */
  constructor(folder: string, read: (name: string) => T | undefined) {
    this.#folder = folder
    this.#read = read
  }

  /** What is in all files now. The values are the index's own and must not be changed. */
  list(): readonly T[] {
    const folder = join(runDirectory(), this.#folder)
    const mark = markOf(folder)
    if (mark === undefined || mark !== this.#mark) this.#look(folder)
    this.#mark = mark
    return this.#values
  }

  #look(folder: string): void {
    const files = new Map<string, Known<T>>()
    this.#values = []
    for (const name of namesIn(folder)) {
      const mark = markOf(join(folder, name))
      const known = this.#files.get(name)
      const same = known !== undefined && mark !== undefined && known.mark === mark
      const file = same ? known : { value: this.#read(name), mark }
      files.set(name, file)
      if (file.value !== undefined) this.#values.push(file.value)
    }
    this.#files = files
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
