/**
 * Folders: made, since Node's own way never comes back where the kernel answers ENOENT for good, as in /proc; and
 * looked into, since Node's own way lists all of them or takes ten times as long as the kernel.
 */

import { closeSync, fsyncSync, lstatSync, mkdirSync, openSync, statSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname } from 'node:path'
import { hasCode } from '../model/errors.ts'
import { errno, libc, SystemError, textAt } from './ffi.ts'

/**
 * Makes a folder and those above it, as far as they are not there.
 * Equivalent to: mkdir -p -m MODE PATH
 * @throws Node's error; ENOENT also where one above has just been removed
 */
export function makeFolder(path: string, mode: number): void {
  for (let left = TRIES; ; left--) {
    try {
      mkdirSync(path, { mode })
      return
    } catch (thrown) {
      if (isFolder(path)) return
      const parent = dirname(path)
      if (left === 0 || parent === path) throw thrown
      // One that was there has gone since, and may be there again.
      if (hasCode(thrown, 'EEXIST') && !isSomethingElse(path)) continue
      if (!hasCode(thrown, 'ENOENT')) throw thrown
      // Else somebody has made it since.
      if (!isFolder(parent)) makeFolder(parent, mode)
    }
  }
}

/** Others make and remove the same folders. */
const TRIES = 10

const isFolder = (path: string): boolean => {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
  } catch {
    return false // below a file, say
  }
}

/** Such as a link that leads nowhere. */
const isSomethingElse = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false

/** What was added to a folder, or taken away, is so after a power loss as well. @throws Node's error */
export function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Where struct dirent of a 64-bit Linux has the name, dirent.h. */
const D_NAME = 19

/**
 * True when a folder has something whose name `is` accepts; it is read no further than that.
 * @returns false too where there is no such folder
 * @throws SystemError where it cannot be read
 */
export function hasName(path: string, is: (name: string) => boolean): boolean {
  const folder = libc.opendir(path)
  if (folder === null) {
    const number = errno()
    if (number === constants.errno.ENOENT) return false
    throw new SystemError(`opendir ${JSON.stringify(path)}`, number)
  }
  try {
    for (let entry = libc.readdir(folder); entry !== null; entry = libc.readdir(folder)) {
      const name = textAt(entry, D_NAME)
      if (name !== '.' && name !== '..' && is(name)) return true
    }
    return false
  } finally {
    libc.closedir(folder)
  }
}
