/** Making folders: Node's own way never comes back where the kernel answers ENOENT for good, as in /proc. */

import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { hasCode } from '../model/errors.ts'

/**
 * Makes a folder and those above it, as far as they are not there.
 * Equivalent to: mkdir -p -m MODE PATH
 * @throws Node's error; ENOENT also where one above has just been removed
 */
export function makeFolder(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode })
  } catch (thrown) {
    if (isFolder(path)) return
    const parent = dirname(path)
    if (!hasCode(thrown, 'ENOENT') || parent === path || isFolder(parent)) throw thrown
    makeFolder(parent, mode)
    makeFolder(path, mode)
  }
}

const isFolder = (path: string): boolean => {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  } catch {
    return false // below a file, say
  }
}
