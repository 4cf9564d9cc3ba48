/**
 * The run directory itself: where it is, made when needed, gone when empty.
 *
 * Making and removing may race with another process, so making is tried again. What cannot be read or
 * written there is an error that names the directory: without it nothing of what is done could be taken back.
 * Nor is one used that somebody else could write to, or exchange what is in it: what is read there is believed.
 */

import {
  accessSync,
  constants,
  type Dirent,
  existsSync,
  lstatSync,
  readdirSync,
  type Stats,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder } from '../ffi/folder.ts'
import { removeFolder } from '../ffi/remove.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'

export const runDirectory = (): string => process.env.TSNET_RUN_DIR ?? '/run/tsnet'

const MODE = 0o700

/** How often a directory may vanish between being made and being used. */
const ATTEMPTS = 100

/**
 * Does something with a file, whose folder is made where it is not there.
 * @throws TsnetError `io` where that cannot be
 */
export async function inDirectory<T>(path: string, work: (path: string) => Promise<T>): Promise<T> {
  requireOwn()
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(path)
    } catch (thrown) {
      prepareAgain(path, thrown, attempt)
    }
  }
}

/** As inDirectory, for work that waits for nothing. */
export function inDirectorySync(path: string, work: (path: string) => void): void {
  requireOwn()
  for (let attempt = 1; ; attempt++) {
    try {
      work(path)
      return
    } catch (thrown) {
      prepareAgain(path, thrown, attempt)
    }
  }
}

function prepareAgain(path: string, thrown: unknown, attempt: number): void {
  if (!hasCode(thrown, 'ENOENT') || attempt === ATTEMPTS) throw unusable(thrown)
  try {
    makeFolder(dirname(path), MODE)
  } catch (cause) {
    // One above it may have been removed just now.
    if (!hasCode(cause, 'ENOENT') || attempt === ATTEMPTS) throw unusable(cause)
  }
}

/** Makes the run directory. It may be gone again before something is in it. @throws TsnetError `io` */
export function makeRunDirectory(): void {
  inDirectorySync(join(runDirectory(), 'any'), path => accessSync(dirname(path), constants.W_OK))
  requireOwn()
}

/** The one that has been looked at: nobody else can change whose it is. */
let own: string | undefined

/** A link counts as the one who made it, and so does what it leads to. */
function requireOwn(): void {
  const folder = runDirectory()
  if (folder === own) return
  const found = statOf(() => lstatSync(folder, { throwIfNoEntry: false }))
  if (found === undefined) return
  for (const each of found.isSymbolicLink() ? [found, statOf(() => statSync(folder))] : [found]) {
    const whose = each && othersOf(each)
    if (whose === undefined) continue
    const advice = 'make it root’s own (chown root, chmod 700), or name another with TSNET_RUN_DIR'
    throw new TsnetError('io', `the run directory ${folder} is not used: it ${whose}; ${advice}`)
  }
  own = folder
}

/** What cannot be looked at is not there; who uses it hears why. */
function statOf(look: () => Stats | undefined): Stats | undefined {
  try {
    return look()
  } catch {
    return undefined
  }
}

/** Who else could change what is in a directory; undefined: nobody. */
function othersOf(place: Stats): string | undefined {
  if (place.uid !== 0 && place.uid !== process.geteuid?.()) return `belongs to user ${place.uid}`
  if (place.isSymbolicLink()) return undefined
  if ((place.mode & 0o002) !== 0) return 'can be written by everybody'
  return (place.mode & 0o020) !== 0 && place.gid !== 0 ? `can be written by group ${place.gid}` : undefined
}

/**
 * Refuses to go on where nothing could be written down. A directory that was not there is not there
 * afterwards either.
 * @throws TsnetError `io`
 */
export function requireRunDirectory(): void {
  const folder = runDirectory()
  const wasThere = existsSync(folder)
  makeRunDirectory()
  if (!wasThere) removeFolder(folder)
}

/** Of a folder of the run directory; none where it is not there. @throws TsnetError `io` */
export const listNames = (folder: string): string[] => listed(folder, path => readdirSync(path))

/** As listNames, with what each is. */
export const listFiles = (folder: string): Dirent[] =>
  listed(folder, path => readdirSync(path, { withFileTypes: true }))

function listed<T>(folder: string, list: (path: string) => T[]): T[] {
  try {
    return list(join(runDirectory(), folder))
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return []
    throw unusable(thrown)
  }
}

/** Removes the folders above a path of the run directory as far as they are empty. */
export function removeEmptyParents(path: string): void {
  // A directory that somebody chose for us stays; our own default goes.
  const top = process.env.TSNET_RUN_DIR ?? dirname(runDirectory())
  for (let folder = dirname(path); folder.length > top.length; folder = dirname(folder)) {
    // Not empty, or somebody else was faster.
    if (!removeFolder(folder)) return
  }
}

/** What another directory would help against. */
const OF_THE_PLACE = ['ENOENT', 'ENOTDIR', 'EEXIST', 'EACCES', 'EPERM', 'EROFS', 'ELOOP', 'ENAMETOOLONG']

/** What the kernel says of a file there, as an error that says what to do; any other error as it is. */
export function unusable(thrown: unknown): unknown {
  if (thrown instanceof TsnetError || !(thrown instanceof Error && 'syscall' in thrown)) return thrown
  const advice = hasCode(thrown, ...OF_THE_PLACE) ? '; name one that can be written with TSNET_RUN_DIR' : ''
  const what = `the run directory ${runDirectory()} cannot be used: ${messageOf(thrown)}${advice}`
  return new TsnetError('io', what, { cause: thrown })
}
