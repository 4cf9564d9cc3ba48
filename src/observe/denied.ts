/** What lists of whom containers may reach have dropped: how often, and of whom what. */

import { permissionText } from '../model/address/reach.ts'
import { hasCode } from '../model/errors.ts'
import { countDropped, readRefused } from '../nat/nat.ts'
import { permissionFor } from '../network/reached.ts'
import type { Seen } from './seen.ts'

/** Packets by owner, of those that have a list. The kernel is asked for these alone. */
export function deniedOf(attached: readonly Seen[]): Map<string, number> {
  const denied = new Map<string, number>()
  for (const { owner, list } of attached) {
    const count = list === undefined ? undefined : droppedOf(owner)
    if (count !== undefined) denied.set(owner, count)
  }
  return denied
}

/** Who counts for people does not fail for the sake of one number. */
function droppedOf(owner: string): number | undefined {
  try {
    return countDropped(owner)
  } catch (thrown) {
    if (hasCode(thrown, 'EPERM', 'EACCES', 'ENOBUFS')) return undefined
    throw thrown
  }
}

/** Entries that would allow what was denied lately, the latest first. */
export const deniedSince = (owner: string, ms: number): string[] => [
  ...new Set(
    readRefused(owner)
      .filter(({ agoMs }) => agoMs <= ms)
      .map(each => permissionText(permissionFor(each))),
  ),
]
