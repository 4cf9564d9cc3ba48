/** Ports that are claimed for a container that is no more, and was never taken down, keep nobody from them. */

import { hasCode } from '../model/errors.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { type ClaimOptions, claimPorts, rivalsOf } from '../ports/ports.ts'
import { deadCheck } from '../records/dead.ts'
import { readEntry, removeEntry, whileLocked } from '../records/records.ts'
import { takeDown } from './take-down.ts'

/** As claimPorts, once more where dead attachments were in the way, which are taken down. */
export async function claimFromTheDead(
  owner: string,
  ports: readonly PortMapping[],
  options: ClaimOptions,
): Promise<void> {
  try {
    await claimPorts(owner, ports, options)
  } catch (thrown) {
    if (!hasCode(thrown, 'conflict') || !(await buryRivals(owner, ports))) throw thrown
    await claimPorts(owner, ports, options)
  }
}

/** @returns true when there were any */
async function buryRivals(owner: string, ports: readonly PortMapping[]): Promise<boolean> {
  const isDead = deadCheck()
  let buried = false
  for (const rival of new Set(rivalsOf(owner, ports).map(claim => claim.owner))) {
    const isGone = () => {
      const entry = readEntry(rival)
      return entry !== undefined && isDead(entry.attachment) ? entry : undefined
    }
    if (isGone() === undefined) continue
    // Whoever makes it anew has taken it down before asking for ports: nobody waits in a circle.
    await whileLocked(rival, async () => {
      const entry = isGone()
      if (entry === undefined) return
      await takeDown(entry.attachment)
      removeEntry(rival)
      buried = true
    })
  }
  return buried
}
