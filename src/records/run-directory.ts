/**
 * The run directory itself: where it is, made when needed, gone when empty.
 *
 * Making and removing may race with another process, so making is tried again. What cannot be read or
 * written there is an error that names the directory: without it nothing of what is done could be taken back.
 */

import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
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

/** Makes the run directory. @throws TsnetError `io` */
export function makeRunDirectory(): void {
  try {
    makeFolder(runDirectory(), MODE)
    accessSync(runDirectory(), constants.W_OK)
  } catch (thrown) {
    throw unusable(thrown)
  }
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
export function listNames(folder: string): string[] {
  try {
    return readdirSync(join(runDirectory(), folder))
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
