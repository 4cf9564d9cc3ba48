/**
 * The run directory itself: where it is, made when needed, gone when empty; and the directory of what outlives a reboot,
 * which is another one and otherwise the same. The first part of a name says in which of the two a file is.
 *
 *     publications/0f3c….json            /run/tsnet/publications/0f3c….json
 *     lasting/publications/0f3c….json    /var/lib/tsnet/publications/0f3c….json
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

/** Begins the names of what outlives a reboot. */
export const LASTING = 'lasting'

/** Where that is. A run directory that somebody chose has its own within: each is a world by itself. */
export const lastingDirectory = (): string =>
  process.env.TSNET_RUN_DIR === undefined ? '/var/lib/tsnet' : join(process.env.TSNET_RUN_DIR, LASTING)

export const isLasting = (name: string): boolean => name.startsWith(`${LASTING}/`)

/** Where a file of state is. @param name `ports/tcp-31.json` */
export const pathOf = (name: string): string =>
  isLasting(name) ? join(lastingDirectory(), name.slice(LASTING.length)) : join(runDirectory(), name)

/** True for a path of what outlives a reboot. */
const isLastingPath = (path: string): boolean => `${path}/`.startsWith(`${lastingDirectory()}/`)

const MODE = 0o700

/** How often a directory may vanish between being made and being used. */
const ATTEMPTS = 100

/**
 * Does something with a file, whose folder is made where it is not there.
 * @throws TsnetError `io` where that cannot be
 */
export async function inDirectory<T>(path: string, work: (path: string) => Promise<T>): Promise<T> {
  requireOwn(path)
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
  requireOwn(path)
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
  if (!hasCode(thrown, 'ENOENT') || attempt === ATTEMPTS) throw unusable(thrown, path)
  try {
    makeFolder(dirname(path), MODE)
  } catch (cause) {
    // One above it may have been removed just now.
    if (!hasCode(cause, 'ENOENT') || attempt === ATTEMPTS) throw unusable(cause, path)
  }
}

/** Makes the run directory. It may be gone again before something is in it. @throws TsnetError `io` */
export function makeRunDirectory(): void {
  const any = join(runDirectory(), 'any')
  // A file in its place can be written, too.
  inDirectorySync(any, path => accessSync(`${dirname(path)}/.`, constants.W_OK))
  requireOwn(any)
}

/** Those that have been looked at: nobody else can change whose they are. */
const own = new Set<string>()

/** A link counts as the one who made it, and so does what it leads to. */
function requireOwn(path: string): void {
  const folder = isLastingPath(path) ? lastingDirectory() : runDirectory()
  if (own.has(folder)) return
  const found = statOf(() => lstatSync(folder, { throwIfNoEntry: false }))
  if (found === undefined) return
  for (const each of found.isSymbolicLink() ? [found, statOf(() => statSync(folder))] : [found]) {
    const whose = each && othersOf(each)
    if (whose === undefined) continue
    const advice = `make it root’s own (chown root, chmod 700)${OTHERWISE[kindOf(path)]}`
    throw new TsnetError('io', `${calledAs(path)} is not used: it ${whose}; ${advice}`)
  }
  own.add(folder)
}

const kindOf = (path: string) => (isLastingPath(path) ? 'lasting' : 'run')

const calledAs = (path: string): string =>
  isLastingPath(path)
    ? `the directory of what outlives a reboot, ${lastingDirectory()},`
    : `the run directory ${runDirectory()}`

const OTHERWISE = { run: ', or name another with TSNET_RUN_DIR', lasting: ', or publish without --keep' }

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

/** Of a folder of state; none where it is not there. @throws TsnetError `io` */
export const listNames = (folder: string): string[] => listed(folder, path => readdirSync(path))

/** As listNames, with what each is. */
export const listFiles = (folder: string): Dirent[] =>
  listed(folder, path => readdirSync(path, { withFileTypes: true }))

function listed<T>(folder: string, list: (path: string) => T[]): T[] {
  const path = pathOf(folder)
  try {
    return list(path)
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return []
    throw unusable(thrown, path)
  }
}

/** Removes the folders above a file of state as far as they are empty. */
export function removeEmptyParents(path: string): void {
  // A directory that somebody chose for us stays; our own default goes.
  const top = process.env.TSNET_RUN_DIR ?? dirname(isLastingPath(path) ? lastingDirectory() : runDirectory())
  for (let folder = dirname(path); folder.length > top.length; folder = dirname(folder)) {
    // Not empty, or somebody else was faster.
    if (!removeFolder(folder)) return
  }
}

const INSTEAD = {
  run: '; name one that can be written with TSNET_RUN_DIR',
  lasting: '; make it writable, or publish without --keep',
}

/** What another directory would help against. */
const OF_THE_PLACE = ['ENOENT', 'ENOTDIR', 'EEXIST', 'EACCES', 'EPERM', 'EROFS', 'ELOOP', 'ENAMETOOLONG']

/** What the kernel says of a file there, as an error that says what to do; any other error as it is. */
export function unusable(thrown: unknown, path = runDirectory()): unknown {
  if (thrown instanceof TsnetError || !(thrown instanceof Error && 'syscall' in thrown)) return thrown
  const advice = hasCode(thrown, ...OF_THE_PLACE) ? INSTEAD[kindOf(path)] : ''
  const what = `${calledAs(path)} cannot be used: ${messageOf(thrown)}${advice}`
  return new TsnetError('io', what, { cause: thrown })
}
