/**
 * Ports that are claimed for a container that is no more, and was never taken down, keep nobody from them.
 *
 * What leads there goes first, and the claim with it: an attachment's rules and link, or the rules of the drop-in
 * portmap. Of an attachment whose record is lost, its link tells: it goes with the container's namespace.
 */

import { hasCode } from '../model/errors.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import type { Claim } from '../ports/claim-files.ts'
import { whilePortmapLocked } from '../ports/portmap-rules.ts'
import { rivalsOf } from '../ports/ports.ts'
import { readRecord } from '../records/chained.ts'
import { deadCheck } from '../records/dead.ts'
import { readEntry, whileLocked } from '../records/records.ts'
import { takeBack } from './portmap-end.ts'
import { takeDownEntry, takeDownIfLost } from './take-down.ts'

type IsDead = ReturnType<typeof deadCheck>

/**
 * Does what claims an owner's ports, once more where the dead were in the way, who are taken down. To be called
 * outside of the locks of portmap and claims.
 * @param work all or nothing
 */
export async function despiteTheDead<T>(
  owner: string,
  ports: readonly PortMapping[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (thrown) {
    if (!hasCode(thrown, 'conflict') || !(await buryRivals(owner, ports))) throw thrown
    return work()
  }
}

/** @returns true when there were any */
async function buryRivals(owner: string, ports: readonly PortMapping[]): Promise<boolean> {
  const isDead = deadCheck()
  const claims = new Map(rivalsOf(owner, ports).map(claim => [claim.owner, claim]))
  let buried = false
  for (const [rival, claim] of claims) buried = (await burialOf(claim)(rival, isDead)) || buried
  return buried
}

function burialOf({ owner, portmap }: Claim): (owner: string, isDead: IsDead) => Promise<boolean> {
  if (portmap !== undefined) return buryMapped
  return readEntry(owner) === undefined ? owner => takeDownIfLost(owner) : buryAttachment
}

const buryAttachment = (owner: string, isDead: IsDead): Promise<boolean> =>
  bury(
    () => {
      const entry = readEntry(owner)
      return entry !== undefined && isDead(entry.attachment) ? entry : undefined
    },
    // Whoever makes it anew has taken it down before asking for ports: nobody waits in a circle.
    work => whileLocked(owner, work),
    entry => takeDownEntry(owner, entry.attachment),
  )

const buryMapped = (owner: string, isDead: IsDead): Promise<boolean> =>
  bury(
    () => {
      const record = readRecord('portmap', owner)
      return record !== undefined && isDead(record) ? record : undefined
    },
    whilePortmapLocked,
    takeBack,
  )

/** @param find again under the lock, since somebody may have been at it meanwhile */
async function bury<T>(
  find: () => T | undefined,
  locked: (work: () => Promise<boolean>) => Promise<boolean>,
  takeDown: (dead: T) => Promise<void>,
): Promise<boolean> {
  if (find() === undefined) return false
  return locked(async () => {
    const dead = find()
    if (dead === undefined) return false
    await takeDown(dead)
    return true
  })
}
