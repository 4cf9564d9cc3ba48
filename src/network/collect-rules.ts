/**
 * Rules that are nobody's, and users that are nobody. What is being done has an entry and a lock, and what is done is
 * counted among the users of the rules; an owner tag that has none of these, and no link, was left by somebody who wrote
 * too late.
 */

import { findHostEnd } from '../bridge/bridge.ts'
import { hasCode } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import { everyStep } from '../model/undo.ts'
import { chooseBackend, owners, withdrawReach, withdrawSpoofGuard } from '../nat/nat.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { listPublications, readPublication } from '../records/publications.ts'
import { listOwners, listResources, listUsers, readEntry, unlessLocked } from '../records/records.ts'
import { listTransits, readTransit } from '../records/transits.ts'
import type { Context } from './context.ts'
import { hasRules, usedByOwners, withdrawRules } from './shared.ts'
import { takeDownIfLost } from './take-down.ts'

const BACKENDS: readonly NatBackend[] = ['iptables', 'nftables']

/** Takes them away, whatever network they were of. @throws the error, or an AggregateError, after having tried all */
export async function collectRules({ trace }: Context): Promise<void> {
  const isNobodys = nobodysCheck(trace)
  await everyStep(
    (await findStrays(trace)).map(
      ({ backend, owner }) =>
        () =>
          unlessLocked(owner, async () => {
            if (hasRules(backend, owner) || !isNobodys(owner)) return
            await withdrawRules(backend, owner)
            await withdrawSpoofGuard(backend, owner)
            withdrawReach(owner)
          }),
    ),
  )
}

/** Owner tags that rules have and nobody else. */
export async function findStrays(
  trace?: Context['trace'],
): Promise<{ backend: NatBackend; owner: string }[]> {
  const isNobodys = nobodysCheck(trace)
  const found: { backend: NatBackend; owner: string }[] = []
  for (const backend of BACKENDS.filter(isHere))
    for (const owner of await owners(backend))
      if (!hasRules(backend, owner) && isNobodys(owner)) found.push({ backend, owner })
  return found
}

const nobodysCheck =
  (trace: Context['trace']) =>
  (owner: string): boolean => {
    using nl = openNetlink(trace)
    const isKnown = [readEntry, readPublication, readTransit].some(read => read(owner) !== undefined)
    return !isKnown && findHostEnd(nl, owner) === undefined
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

/**
 * Takes down owners that are counted among the users of something, and of whom no record speaks: it was damaged, say.
 * While they are counted nobody is the last, and what all share stays for ever.
 * @throws the error, or an AggregateError, after having tried all
 */
export async function collectLost(context: Context): Promise<void> {
  await everyStep(findLost().map(owner => async () => void (await takeDownIfLost(owner, context))))
}

/** Owner tags that are counted among users, and of whom no record speaks. */
export function findLost(): string[] {
  const recorded = new Set([
    ...listOwners(),
    ...listPublications().map(({ id }) => id),
    ...listTransits().map(({ intent }) => intent.owner),
  ])
  const users = usedByOwners(listResources('')).flatMap(listUsers)
  return [...new Set(users)].filter(owner => !recorded.has(owner))
}
