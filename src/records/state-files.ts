/**
 * Files that hold state, in the run directory or in that of what outlives a reboot (run-directory.ts): how they are
 * read, written, and what becomes of a damaged one.
 *
 *     read     look, never wait (ffi/regular-file.ts) ─▶ JSON ─▶ format ─▶ shape (model/json/shape.ts) ─▶ value
 *     write    whole, under another name ─▶ rename
 *
 * What cannot be understood is *damaged*: it is moved to `damaged/`, where nobody reads, and one line on stderr says
 * what was wrong and where it went. Then it counts as absent, and whoever needs it makes it anew from what else there
 * is (the kernel, other files). What nothing else tells, the values that things of others had before us and what
 * people asked for, is written twice (`copies/`), and comes back from there.
 * What outlives a reboot is on the disk when it is written: a power loss leaves all of it, or what was there before.
 *
 * What a *newer* build wrote is not damaged: it is refused, by its number (model/json/stored.ts), and left alone, or going
 * back to an older build would lose it.
 */

import { constants, type Dirent, linkSync, openSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder, syncFolder } from '../ffi/folder.ts'
import { asideMark, type Content, readListed, readRegular, writeAndClose } from '../ffi/regular-file.ts'
import { removeFile } from '../ffi/remove.ts'
import { hasCode, messageOf } from '../model/errors.ts'
import type { Shape } from '../model/json/shape.ts'
import { readStored, type Stored, storedText } from '../model/json/stored.ts'
import { surroundings } from '../model/surroundings.ts'
import {
  inDirectorySync,
  isLasting,
  LASTING,
  listFiles,
  pathOf,
  removeEmptyParents,
  unusable,
} from './run-directory.ts'

/** Ending of a file that is being written. The same name each time: what a killed writer left is overwritten. */
export const TEMPORARY = '.tmp'

export const DAMAGED = 'damaged'
export const COPIES = 'copies'

/** The name in a folder beside all others, in the same directory. */
const within = (folder: string, name: string): string =>
  isLasting(name) ? join(LASTING, folder, name.slice(LASTING.length)) : join(folder, name)

/** Whose copy a file is, by its name; undefined: none's. */
export function originalOf(name: string): string | undefined {
  const [top = '', rest = ''] = isLasting(name) ? [`${LASTING}/`, name.slice(LASTING.length + 1)] : ['', name]
  return rest.startsWith(`${COPIES}/`) ? top + rest.slice(COPIES.length + 1) : undefined
}

/**
 * A file of state; undefined where there is none, or it was damaged and has been set aside.
 * @param name `ports/tcp-31.json`
 * @throws TsnetError `io`: its directory cannot be used, or a newer build wrote the file
 */
export const readState = <T>(name: string, shape: Shape): T | undefined => readBy<T>(readRegular, name, shape)

/** As readState, of a file of a listing, at less cost where it is a plain one. */
export const readListedState = <T>(name: string, file: Dirent, shape: Shape): T | undefined =>
  readBy<T>(file.isFile() ? readListed : readRegular, name, shape)

type Read = (path: string) => Content | undefined

function readBy<T>(read: Read, name: string, shape: Shape): T | undefined {
  const found = lookAtState<T>(name, shape, read)
  if (found === undefined || 'value' in found) return found?.value
  setAside(name, found.damage)
  return undefined
}

/** As readState, but a damaged file stays where it is, for whoever may replace it. */
export function lookAtState<T>(name: string, shape: Shape, read: Read = readRegular): Stored<T> | undefined {
  const path = pathOf(name)
  try {
    const content = read(path)
    return content !== undefined && 'text' in content ? readStored<T>(content.text, shape, path) : content
  } catch (thrown) {
    if (hasCode(thrown, 'EIO')) return { damage: `cannot be read: ${messageOf(thrown)}` }
    throw unusable(thrown, path)
  }
}

/** Writes a file of state; undefined removes it. An object gets the number of its format. */
export function writeState(name: string, value: unknown): void {
  if (value === undefined) removeState(name)
  else writeWhole(name, storedText(value))
}

/** The files of a folder. */
export const listStates = <T>(folder: string, shape: Shape): T[] =>
  listFiles(folder).flatMap(file => {
    const path = `${folder}/${file.name}`
    const value = path.endsWith('.json') ? readListedState<T>(path, file, shape) : undefined
    return value === undefined ? [] : [value]
  })

/** As readKept, of a file of a listing. */
export const readListedKept = <T>(name: string, file: Dirent, shape: Shape): T | undefined =>
  readKept<T>(name, shape, file.isFile() ? readListed : readRegular)

/** As readState, of what is written twice: a damaged file comes back from its copy. */
export function readKept<T>(name: string, shape: Shape, read: Read = readRegular): T | undefined {
  const found = lookAtState<T>(name, shape, read)
  if (found === undefined || 'value' in found) return found?.value
  const copy = lookAtCopy<T>(name, shape)
  if (copy === undefined) setAside(name, found.damage, 'what it told is lost')
  else replaceDamaged(name, found.damage, copy, 'it is restored from its copy')
  return copy
}

function lookAtCopy<T>(name: string, shape: Shape): T | undefined {
  const copy = lookAtState<T>(within(COPIES, name), shape)
  return copy !== undefined && 'value' in copy ? copy.value : undefined
}

/** As writeState, twice. The copy first, also where both go: what the file itself says counts, and none is left without it. */
export function writeKept(name: string, value: unknown): void {
  writeState(within(COPIES, name), value)
  writeState(name, value)
}

/** Removes a file, and what a killed writer left beside it. Idempotent. */
export function removeState(name: string): void {
  removeNamed(name)
  removeNamed(name + TEMPORARY)
  toDisk(name)
  removeEmptyParents(pathOf(name))
}

/** Takes whatever stands there away; a directory is set aside, since who knows what is in it. */
export function removeNamed(name: string): void {
  try {
    removeFile(pathOf(name))
  } catch (thrown) {
    if (!hasCode(thrown, 'EISDIR')) throw unusable(thrown, pathOf(name))
    setAside(name, 'is a directory')
  }
}

/** What was added to its folder, or taken away, is so after a power loss as well, where that matters. */
function toDisk(name: string): void {
  if (!isLasting(name)) return
  try {
    syncFolder(dirname(pathOf(name)))
  } catch (thrown) {
    if (!hasCode(thrown, 'ENOENT')) throw unusable(thrown, pathOf(name))
  }
}

/** Writes a file so that it appears whole. Whatever is in its place, or under the name it is written by, goes. */
export function writeWhole(name: string, text: string): void {
  const [path, temporary] = [pathOf(name), pathOf(name) + TEMPORARY]
  inDirectorySync(path, () => {
    writeNew(name + TEMPORARY, text)
    try {
      renameSync(temporary, path)
    } catch (thrown) {
      if (!hasCode(thrown, 'EISDIR', 'ENOTEMPTY', 'EEXIST')) {
        removeFile(temporary)
        throw thrown
      }
      setAside(name, 'is a directory')
      renameSync(temporary, path)
    }
    toDisk(name)
  })
}

const FRESH = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW

function writeNew(name: string, text: string): void {
  const fd = openNew(name)
  try {
    writeAndClose(fd, text, isLasting(name))
  } catch (thrown) {
    removeFile(pathOf(name)) // of a full disk, say
    throw thrown
  }
}

function openNew(name: string): number {
  try {
    return openSync(pathOf(name), FRESH, 0o600)
  } catch (thrown) {
    if (!hasCode(thrown, 'EEXIST')) throw thrown
    removeState(name)
    makeFolder(dirname(pathOf(name)), 0o700)
    return openSync(pathOf(name), FRESH, 0o600)
  }
}

/** Moves a damaged file away and says so. @param then what comes of it, a sentence */
export function setAside(name: string, damage: string, then?: string): void {
  moveAway(name, damage, then, renameSync)
}

/**
 * As setAside, with something else in its place; undefined: nothing. There is no moment at which nobody stands there,
 * unless it is a directory.
 */
export function replaceDamaged(name: string, damage: string, value: unknown, then: string): void {
  moveAway(name, damage, then, (from, to) => {
    try {
      linkSync(from, to)
    } catch (thrown) {
      if (!hasCode(thrown, 'EPERM')) throw thrown
      renameSync(from, to)
    }
  })
  writeState(name, value)
}

function moveAway(
  name: string,
  damage: string,
  then: string | undefined,
  move: (from: string, to: string) => void,
): void {
  const top = isLasting(name) ? `${LASTING}/` : ''
  const flat = name.slice(top.length).replaceAll('/', '-')
  const aside = pathOf(`${top}${DAMAGED}/${flat}.${asideMark()}`)
  try {
    makeFolder(dirname(aside), 0o700)
    move(pathOf(name), aside)
  } catch (thrown) {
    // Somebody else was faster.
    if (hasCode(thrown, 'ENOENT', 'EEXIST')) return
    throw unusable(thrown, pathOf(name))
  }
  removeEmptyParents(pathOf(name))
  const more = then === undefined ? '' : `; ${then}`
  surroundings().complain(`tsnet: warning: ${pathOf(name)} ${damage}; it was moved to ${aside}${more}\n`)
}
