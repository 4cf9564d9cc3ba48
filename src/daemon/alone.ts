/** One daemon runs on a run directory: the lock dies with it, or goes to its successor. */

import { join } from 'node:path'
import { FileLock, lockFile } from '../ffi/lock.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { endOrphans } from '../netns/orphans.ts'
import { inDirectory, runDirectory } from '../records/run-directory.ts'

/** How long another may need to end: one that runs on does not; a predecessor of an older version lingers first. */
const END_WITHIN_MS = 2_000
export const SUCCESSION_WITHIN_MS = 30_000

const lockPath = (): string => join(runDirectory(), 'daemon.lock')

/** @throws TsnetError `conflict`: another runs */
export async function lockAlone(withinMs = END_WITHIN_MS): Promise<FileLock> {
  try {
    // A command that ends in between takes an empty run directory away.
    const lock = await inDirectory(lockPath(), path => lockFile(path, { withinMs, removeAfter: true }))
    if (lock.wasLeft) await endOrphans()
    return lock
  } catch (cause) {
    if (!hasCode(cause, 'try-again')) throw cause
    throw new TsnetError(
      'conflict',
      `a daemon runs already on ${runDirectory()}; stop it first, or take over with --replace`,
      { cause },
    )
  }
}

/** The lock that a predecessor has handed over. */
export const inheritedLock = (number: number): FileLock => new FileLock(lockPath(), number, true)
