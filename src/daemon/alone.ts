/**
 * One daemon runs on a run directory: the lock dies with it, or goes to its successor.
 *
 * Whoever is told to take over does so from whom he finds. One that is just starting has the lock before it can be
 * spoken to, and one that is just ending can be spoken to, and answers no more; they are looked for until it is clear.
 */

import { join } from 'node:path'
import { connectControl, HungUp } from '../control/client.ts'
import { FileLock, lockFile } from '../ffi/lock.ts'
import { hasCode, TsnetError } from '../model/errors.ts'
import { endOrphans } from '../netns/orphans.ts'
import { inDirectory, runDirectory } from '../records/run-directory.ts'
import type { Greeting } from './handover-words.ts'
import { Predecessor } from './predecessor.ts'

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

/** How long the lock is waited for before it is looked again who has it. */
const LOOK_AGAIN_MS = 100

/** Tries until it succeeds, or fails for a reason that will not pass, or for too long. */
async function untilClear<T>(
  withinMs: number,
  attempt: () => Promise<T>,
  mayPass: (thrown: unknown) => boolean | Promise<boolean>,
): Promise<T> {
  const until = performance.now() + withinMs
  for (;;) {
    const isLate = performance.now() > until
    try {
      return await attempt()
    } catch (thrown) {
      if (isLate || !(await mayPass(thrown))) throw thrown
    }
  }
}

/**
 * The lock, for a daemon that somebody needs: one that lets its last connections finish is waited for; one that serves is
 * all that is needed.
 * @throws TsnetError `conflict`: another runs
 */
export const lockWhenNobodyServes = (withinMs = SUCCESSION_WITHIN_MS): Promise<FileLock> =>
  untilClear(
    withinMs,
    () => lockAlone(LOOK_AGAIN_MS),
    async thrown => {
      using serving = hasCode(thrown, 'conflict') ? await connectControl() : undefined
      return hasCode(thrown, 'conflict') && serving === undefined
    },
  )

/** What a daemon begins with: the one that runs and what that says of itself, or the lock. */
export type Place =
  | { predecessor: Predecessor; greeting: Greeting; lock?: never }
  | { predecessor?: never; greeting?: never; lock: FileLock }

/** @throws TsnetError `conflict`: another has the lock, and does not let itself be spoken to */
export const takePlace = (withinMs = SUCCESSION_WITHIN_MS): Promise<Place> =>
  untilClear(
    withinMs,
    async () => {
      const predecessor = await Predecessor.find()
      if (predecessor === undefined) return { lock: await lockAlone(LOOK_AGAIN_MS) }
      try {
        return { predecessor, greeting: await predecessor.greet() }
      } catch (thrown) {
        predecessor[Symbol.dispose]()
        throw thrown
      }
    },
    thrown => thrown instanceof HungUp || hasCode(thrown, 'conflict'),
  )

/** The lock that a predecessor has handed over. */
export const inheritedLock = (number: number): FileLock => new FileLock(lockPath(), number, true)
