/** What was made for a container that is no more. */

import { currentBootId, goneCheck, type RecordedNetns } from '../netns/alive.ts'

/** As every record says it. */
interface Made {
  bootId: string
  netns: RecordedNetns
  createdAt: string
}

/**
 * A check of records: true for one made before the last boot, or whose namespace exists no more.
 * @param isQuick for lists, which nothing is done by: files of namespaces are asked for their age instead of their cookie,
 *   a tenth of the time. Where the clock was set back between two of one number, a dead one looks alive to it.
 */
export function deadCheck({ isQuick = false } = {}): (made: Made) => boolean {
  const boot = currentBootId()
  const isGone = goneCheck()
  return ({ bootId, netns, createdAt }) => bootId !== boot || isGone(netns, ...(isQuick ? [createdAt] : []))
}
