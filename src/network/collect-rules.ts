/**
 * Rules that are nobody's. What is being done has an entry and a lock, and what is done is counted among the users of
 * the rules; an owner tag that has none of these, and no link, was left by somebody who wrote too late.
 */

import { findHostEnd } from '../bridge/bridge.ts'
import { hasCode } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import { everyStep } from '../model/undo.ts'
import { chooseBackend, owners, withdrawSpoofGuard } from '../nat/nat.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { readPublication } from '../records/publications.ts'
import { readEntry, unlessLocked } from '../records/records.ts'
import type { Context } from './context.ts'
import { hasRules, withdrawRules } from './shared.ts'

const BACKENDS: readonly NatBackend[] = ['iptables', 'nftables']

/** Takes them away, whatever network they were of. @throws the error, or an AggregateError, after having tried all */
export async function collectRules({ trace }: Context): Promise<void> {
  const isNobodys = (owner: string) => {
    using nl = openNetlink(trace)
    const isKnown = readEntry(owner) !== undefined || readPublication(owner) !== undefined
    return !isKnown && findHostEnd(nl, owner) === undefined
  }
  for (const backend of BACKENDS.filter(isHere)) {
    const suspects = (await owners(backend)).filter(owner => !hasRules(backend, owner) && isNobodys(owner))
    await everyStep(
      suspects.map(
        owner => () =>
          unlessLocked(owner, async () => {
            if (hasRules(backend, owner) || !isNobodys(owner)) return
            await withdrawRules(backend, owner)
            await withdrawSpoofGuard(backend, owner)
          }),
      ),
    )
  }
}

function isHere(backend: NatBackend): boolean {
  try {
    chooseBackend(backend)
    return true
  } catch (thrown) {
    if (hasCode(thrown, 'missing')) return false
    throw thrown
  }
}
