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

import { constants, linkSync, openSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder, syncFolder } from '../ffi/folder.ts'
import { type Content, ListedFolder, readRegular, writeAndClose } from '../ffi/regular-file.ts'
import { removeFile } from '../ffi/remove.ts'
import { hasCode, messageOf } from '../model/errors.ts'
import type { Shape } from '../model/json/shape.ts'
import { readStored, type Stored, storedText } from '../model/json/stored.ts'
import { moveAway, setAside } from './aside.ts'
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
export const readState = <T>(name: string, shape: Shape): T | undefined =>
  readOnce<T>(name, shape, placeOf(name))

/** @param name of the file */
export type IsMeant = (text: string, name: string) => boolean

/**
 * What is made of each state of a folder that can be understood. Of a full host's, not all need be in memory at once.
 * @param shapeOf undefined: a file of this name is no state
 * @param isMeant whether one is looked at at all; absent: each
 * @param isKept each is written twice: as readKept reads it
 */
export function mapStates<T, U>(
  folder: string,
  shapeOf: (name: string) => Shape | undefined,
  make: (value: T, name: string) => U,
  { isMeant, isKept = false }: { isMeant?: IsMeant | undefined; isKept?: boolean } = {},
): U[] {
  const files = listFiles(folder)
  using listed = files.length === 0 ? undefined : openListed(folder)
  const readOne = isKept ? readKept<T> : readOnce<T>
  const top = pathOf(folder)
  const made: U[] = []
  for (const file of files) {
    const shape = shapeOf(file.name)
    if (shape === undefined) continue
    const read: Read = path => {
      const content = listed !== undefined && file.isFile() ? listed.read(file.name) : readRegular(path)
      const isOther =
        content !== undefined && 'text' in content && isMeant?.(content.text, file.name) === false
      return isOther ? undefined : content
    }
    const value = readOne(`${folder}/${file.name}`, shape, { path: `${top}/${file.name}`, read })
    if (value !== undefined) made.push(make(value, file.name))
  }
  return made
}

/** Undefined: it has just been removed, and so have its files. */
function openListed(folder: string): ListedFolder | undefined {
  try {
    return new ListedFolder(pathOf(folder))
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw unusable(thrown, pathOf(folder))
  }
}

type Read = (path: string) => Content | undefined

/** Where a file is, and how it is read. */
interface Place {
  path: string
  read: Read
}

const placeOf = (name: string): Place => ({ path: pathOf(name), read: readRegular })

function readOnce<T>(name: string, shape: Shape, place: Place): T | undefined {
  const found = lookAt<T>(place, shape)
  if (found === undefined || 'value' in found) return found?.value
  setAside(name, found.damage)
  return undefined
}

/** As readState, but a damaged file stays where it is, for whoever may replace it. */
export const lookAtState = <T>(name: string, shape: Shape): Stored<T> | undefined =>
  lookAt<T>(placeOf(name), shape)

function lookAt<T>({ path, read }: Place, shape: Shape): Stored<T> | undefined {
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

/** The states of a folder. */
export const listStates = <T>(folder: string, shape: Shape): T[] =>
  mapStates<T, T>(
    folder,
    name => (name.endsWith('.json') ? shape : undefined),
    value => value,
  )

/** As readState, of what is written twice: a damaged file comes back from its copy. */
export function readKept<T>(name: string, shape: Shape, place = placeOf(name)): T | undefined {
  const found = lookAt<T>(place, shape)
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
