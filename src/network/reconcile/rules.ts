/**
 * Rules and spoof guards, compared and put back.
 *
 * Who is being taken down must get nothing back. So between the look and the change the locks of those are taken whose
 * rules are lacking, without waiting: whoever is busy with one finds or makes its rules by itself, and is looked at
 * later. A publication's lock is held while its rules are made or led elsewhere; a guest is everybody's who publishes
 * something of it. One that has ended meanwhile gets its rules taken away again; one that was led elsewhere has others
 * by then, which stay: whoever led it saw to what was there before.
 */

import type { NatBackend, NatIntent } from '../../model/network.ts'
import {
  areRulesGone,
  forgetUntranslated,
  type Hold,
  type Loss,
  losersOf,
  mendReach,
  mendRules,
  mendSpoofGuards,
  type Translated,
  withdraw,
} from '../../nat/nat.ts'
import { HeldOwners } from '../../records/hold.ts'
import { readTransit } from '../../records/transits.ts'
import { guardedFamilies, unlessAdmitted, whileRulesShared } from '../shared.ts'
import {
  guardsOf,
  type Intents,
  ownersPublished,
  reachGuardsOf,
  readIntents,
  takePublished,
  takeTransit,
  takeUnchanged,
} from './intents.ts'
import { BUSY, type Part, type PartLoss } from './part.ts'

/** The spoof guards of all, before anything else. */
export function guardPart(intents: Intents): Part[] {
  const guards = guardsOf(intents)
  if (guards.length === 0) return []
  const mend = (isDry: boolean) =>
    isDry ? mendSpoofGuards(guards) : whileHolding(intents, hold => mendSpoofGuards(guards, hold))
  return [{ subject: 'spoof guards', mend }]
}

/** Whom containers may reach, before rules let them. */
export function reachPart(intents: Intents): Part[] {
  const guards = reachGuardsOf(intents)
  if (guards.length === 0) return []
  const mend = async (isDry: boolean) =>
    isDry ? mendReach(guards) : whileHolding(intents, async hold => mendReach(guards, hold))
  return [{ subject: 'what containers may reach', mend }]
}

/**
 * The rules of each backend that is in use. What all share, the chains and the policy of FORWARD, has no owner whose lock
 * could be held; its last user takes it back under the lock of all. So where something lacks it is looked at anew, and put
 * back, under that one.
 */
export const ruleParts = (intents: Intents): Part[] =>
  (['nftables', 'iptables'] as const).flatMap(backend => {
    if (intents.natOf(backend).length === 0 && guardedFamilies(backend).length === 0) return []
    const mend = async (isDry: boolean): Promise<PartLoss[]> => {
      const nat = intents.natOf(backend)
      // After a flush nobody is to wait for a look that can tell nothing new.
      if (isDry || !areRulesGone(backend, nat)) {
        const lost = await mendRules(backend, nat, guardedFamilies(backend))
        if (isDry || lost.length === 0) return lost
      }
      return putBackShared(backend)
    }
    return [{ subject: `rules (${backend})`, mend }]
  })

async function putBackShared(backend: NatBackend): Promise<PartLoss[]> {
  const { intents, losses } = await whileRulesShared(async () => {
    const intents = readIntents()
    return { intents, losses: await putBack(backend, intents) }
  })
  // Whoever admits a guest waits for what all share, under the guest's lock.
  await withdrawEnded(intents, backend, losses)
  return losses
}

/** @param intents as they were a moment ago: what has changed since is left alone */
export async function putBack(backend: NatBackend, intents: Intents): Promise<PartLoss[]> {
  const nat = intents.natOf(backend)
  const losses = await whileHolding(intents, hold => mendRules(backend, nat, guardedFamilies(backend), hold))
  // Only once all rules are there: what begins now is theirs.
  if (losses.length > 0) forgetUntranslated(nat.map(translatedOf))
  return losses
}

export const translatedOf = ({
  addresses,
  ipMasq,
  ports,
  held,
  part,
  leavesElsewhere,
}: NatIntent): Translated => ({
  addresses,
  ipMasq: ipMasq && part === undefined && leavesElsewhere === undefined,
  ports: held ?? ports,
})

/** Does something with leave for those that nobody else is busy with. */
async function whileHolding(intents: Intents, work: (hold: Hold) => Promise<Loss[]>): Promise<PartLoss[]> {
  using held = new HeldOwners()
  const busy = new Set<string>()
  const known = new Map(intents.attached.map(each => [each.owner, each]))
  const isFree = (owner: string): boolean => {
    const attached = known.get(owner)
    if (attached !== undefined) return takeUnchanged(held, attached)
    return takeTransit(held, owner) || takePublished(held, intents, owner)
  }
  // Awaited here: the locks are held until all is done.
  const losses = await work(owners => {
    const free = new Set(owners.filter(isFree))
    // Each family asks for itself, and again where its change was not taken.
    for (const owner of owners) {
      if (free.has(owner)) busy.delete(owner)
      else busy.add(owner)
    }
    return free
  })
  return losses.map(loss => (busy.has(loss.owner ?? '') ? { ...loss, why: BUSY } : loss))
}

/**
 * Takes away again what was put back for publications that ended while a command ran. The record of one says so before
 * its rules go: so what is current now has its end still before it, and that takes them.
 */
export async function withdrawEnded(
  { attached, published }: Pick<Intents, 'attached' | 'published'>,
  backend: NatBackend,
  losses: readonly PartLoss[],
): Promise<void> {
  const losers = losersOf(losses)
  if (losers.length === 0) return
  const known = new Set(attached.map(({ owner }) => owner))
  const used = ownersPublished()
  const ids = new Set(published.map(({ id }) => id))
  for (const owner of losers) {
    if (known.has(owner) || used.has(owner) || readTransit(owner) !== undefined) continue
    const away = () => withdraw(backend, owner, { last: false })
    await (ids.has(owner) ? away() : unlessAdmitted(owner, away))
  }
}
