/** What was made for a container that is no more. */

import { existsSync } from 'node:fs'
import type { HandedOver } from '../model/network.ts'
import { currentBootId, goneCheck, type RecordedNetns } from '../netns/alive.ts'
import { isRunning } from '../netns/processes.ts'

/** As every record says it. */
interface Made {
  bootId: string
  netns: RecordedNetns
  createdAt: string
  handedOver?: HandedOver
}

/** A runtime that gives up has done so by then. */
const TAKEN_WITHIN_MS = 10 * 60_000

/**
 * A check of records: true for one made before the last boot, or whose namespace exists no more.
 * @param isQuick for lists, which nothing is done by: files of namespaces are asked for their age instead of their cookie,
 *   a tenth of the time. Where the clock was set back between two of one number, a dead one looks alive to it.
 */
export function deadCheck({ isQuick = false } = {}): (made: Made) => boolean {
  const boot = currentBootId()
  const isGone = goneCheck()
  return made => {
    const { bootId, netns, createdAt } = made
    if (bootId !== boot) return true
    return isWaiting(made) ? isForgotten(made) : isGone(netns, ...(isQuick ? [createdAt] : []))
  }
}

/** True for one whose container has not been seen in its namespace yet. */
export const isWaiting = <T extends Pick<Made, 'netns' | 'handedOver'>>(
  made: T,
): made is T & { handedOver: HandedOver } => made.handedOver !== undefined && made.netns.ino === 0

/** Nobody will take it: who asked for it has ended, or has had all the time. What is at its path by now is to be looked at. */
function isForgotten({ netns, handedOver: { by, since } }: Made & { handedOver: HandedOver }): boolean {
  if (netns.path !== '' && existsSync(netns.path)) return false
  return !isRunning(by) || Date.now() - Date.parse(since) > TAKEN_WITHIN_MS
}
