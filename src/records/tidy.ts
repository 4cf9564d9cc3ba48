/**
 * Takes away what killed processes left in the run directory, and in that of what outlives a reboot, and nobody reads:
 * files that were being written, locks that nobody holds, copies of what is no more, folders with nothing in them.
 *
 * Whoever is writing such a file at this moment finds it gone when he gives it its name, and writes it again
 * (run-directory.ts); and whoever waits for a lock finds that its file has no name any more (ffi/lock.ts).
 */

import { type Dirent, existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { tryLockFile } from '../ffi/lock.ts'
import { hasCode } from '../model/errors.ts'
import { everyStep } from '../model/undo.ts'
import { DAMAGED } from './aside.ts'
import { tidyChoices } from './choices.ts'
import { unlessLocked } from './records.ts'
import {
  LASTING,
  lastingDirectory,
  pathOf,
  removeEmptyParents,
  runDirectory,
  unusable,
} from './run-directory.ts'
import { originalOf, removeState, TEMPORARY } from './state-files.ts'

/** The daemon's own: who starts takes it over, and shall not meet us there. */
const NOT_OURS = ['daemon.lock', 'start.lock']

/** @throws the error, or an AggregateError, after having done all that can be done */
export async function tidyRunDirectory(): Promise<void> {
  tidyChoices()
  await everyStep(
    allFiles().map(name => async () => {
      if (name.endsWith('/')) removeEmptyParents(join(pathOf(name), 'any'))
      else if (isLock(name)) await letGo(name.slice(0, -LOCK.length))
      else if (isLeft(name)) removeState(name)
    }),
  )
}

/** Files that tidyRunDirectory would remove, by their paths. */
export const untidyFiles = (): string[] =>
  allFiles()
    .filter(name => (isLock(name) ? !isHeld(name) : isLeft(name)))
    .map(pathOf)

const isLock = (name: string): boolean => name.endsWith(LOCK) && !NOT_OURS.includes(name)

const isLeft = (name: string): boolean => name.endsWith(TEMPORARY) || isLeftCopy(name)

function isHeld(name: string): boolean {
  using lock = tryLockFile(pathOf(name))
  return lock === undefined
}

const LOCK = '.lock'

/** Whoever lets go of a lock takes its file along. */
const letGo = (name: string): Promise<void> => unlessLocked(name, () => {})

function isLeftCopy(name: string): boolean {
  const original = originalOf(name)
  return original !== undefined && !existsSync(pathOf(original))
}

/** In both directories, by their names; where the second is within the first, each once. */
const allFiles = (): string[] => [
  ...new Set([...filesIn(runDirectory()), ...filesIn(lastingDirectory()).map(name => `${LASTING}/${name}`)]),
]

/** All files below a folder but what was set aside, by their paths from there; an empty folder ends in a slash. */
function filesIn(top: string, folder = ''): string[] {
  return entriesOf(join(top, folder)).flatMap(entry => {
    const name = join(folder, entry.name)
    if (name === DAMAGED || name === `${LASTING}/${DAMAGED}`) return []
    if (!entry.isDirectory()) return [name]
    const inside = filesIn(top, name)
    return inside.length === 0 ? [`${name}/`] : inside
  })
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'ENOTDIR')) return []
    throw unusable(thrown)
  }
}
