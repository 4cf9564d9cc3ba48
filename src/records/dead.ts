/** What was made for a container that is no more. */

import { currentBootId, goneCheck, type RecordedNetns } from '../netns/alive.ts'

/** As every record says it. */
interface Made {
  bootId: string
  netns: RecordedNetns
  createdAt: string
}

/** A check of records: true for one made before the last boot, or whose namespace exists no more. */
export function deadCheck(): (made: Made) => boolean {
  const boot = currentBootId()
  const isGone = goneCheck()
  return ({ bootId, netns, createdAt }) => bootId !== boot || isGone(netns, createdAt)
}
