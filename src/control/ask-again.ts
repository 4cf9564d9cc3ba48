/**
 * Asking on where a daemon dies, or ends, before it has answered. A process that dies closes its connections one after the
 * other, and listens until it comes to that: whoever is hung up on at once has met the dying one again.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { HungUp } from './client.ts'

const DYING_MS = 2_000
const PAUSE_MS = 20

/**
 * @param attempt finds the daemon anew where it is told that somebody has been asked before
 * @throws what the attempt throws; HungUp where that has gone on for too long
 */
export async function askAgain<T>(attempt: (isAgain: boolean) => Promise<T>): Promise<T> {
  let deadline: number | undefined
  for (let isAgain = false; ; isAgain = true) {
    try {
      return await attempt(isAgain)
    } catch (thrown) {
      if (!(thrown instanceof HungUp)) throw thrown
      deadline ??= performance.now() + DYING_MS
      if (performance.now() > deadline) throw thrown
    }
    await sleep(PAUSE_MS)
  }
}
