/** Tries again what fails only because the machine has much to do: bounded, with pauses that grow. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { Finished } from '../ffi/command.ts'
import { hasCode } from '../model/errors.ts'
import { wasKilled } from './commands.ts'

/** Between one attempt and the next; all together less than half a second. */
export const PAUSES_MS: readonly number[] = [10, 30, 100, 300]

/** It said nothing of why: what it could not have, it does not name. */
export const isSilent = (failure: Finished): boolean =>
  failure.code !== 0 && failure.stderr.trim() === '' && !wasKilled(failure)

/**
 * @param attempt is repeated where it could not start a process (EAGAIN), and
 * @param isPassing where this holds of what came of it
 * @returns what came of the last attempt @throws what it threw
 */
export async function patiently<T>(
  attempt: () => Promise<T> | T,
  isPassing: (result: T) => boolean = () => false,
): Promise<T> {
  for (const pauseMs of PAUSES_MS) {
    try {
      const result = await attempt()
      if (!isPassing(result)) return result
    } catch (thrown) {
      if (!hasCode(thrown, 'EAGAIN')) throw thrown
    }
    await sleep(pauseMs)
  }
  return attempt()
}
