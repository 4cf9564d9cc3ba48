/**
 * What others took away of ours comes back: rules, guards, bridges, ports, settings.
 *
 *     records ─▶ intents ─▶ parts: look ─▶ what is lacking ─▶ leave, by locks ─▶ one change ─▶ differences
 *
 *     spoof guards, whom containers may reach, rules
 *                              before any packet can pass that they are for
 *     a part for each bridge   the bridge, its addresses, its ports
 *     limits                   of what containers receive and send
 *     settings                 forwarding last
 *
 * A firewall's reload, `nft flush ruleset`, `iptables-restore`, `sysctl --system`, whoever deletes a bridge or takes
 * an address from it: all of them know nothing of us. What there shall be is what the records say; what there is says
 * the kernel; and only what lacks is made, so it can be done at any time and by several at once. The daemon does it
 * when it hears that something went (daemon/keep-whole.ts), and `tsnet reconcile` by hand.
 *
 * Whoever is being made has no part in it: what he had made already may be gone with the rest, so the daemon looks at him
 * once he is made (daemon/unmade.ts).
 *
 * What is deleted stays deleted: an attachment whose DEL has begun says so in its record, and whoever is busy with one
 * has its lock. What others added, and what is in the containers, is theirs. A bridge that was somebody else's, and a
 * port that is gone with the container's end, are named and cannot be put back. Connections that began meanwhile, and
 * lack what the rules would have given them, are forgotten (nat/untranslated.ts).
 *
 * Each part fails alone, and what is in its way is said of it.
 */

import { setImmediate } from 'node:timers/promises'
import { type Attachment, type AttachmentKey, nameOfAttached } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { forgetUntranslated, type Translated } from '../../nat/nat.ts'
import { dropInParts } from './drop-ins.ts'
import { type Intents, readIntents } from './intents.ts'
import { limitPart } from './limits.ts'
import { linkParts } from './links.ts'
import { type Difference, doPart, type Part } from './part.ts'
import { guardPart, reachPart, ruleParts, translatedOf } from './rules.ts'
import { settingParts } from './settings.ts'

export { madeSince } from './intents.ts'
export { concernsLimits } from './limits.ts'
export { concernedBridge } from './links.ts'
export type { Difference } from './part.ts'

/** Where something may be lacking. */
export interface Scope {
  rules: boolean
  settings: boolean
  /** How fast containers may receive and send. */
  limits: boolean
  /** Names of bridges; `all`. */
  bridges: ReadonlySet<string> | 'all'
}

export const EVERYTHING: Scope = { rules: true, settings: true, limits: true, bridges: 'all' }

/** A difference and whom it is about. */
export type Found = Difference & Partial<AttachmentKey> & { name?: string }

export interface ReconcileOptions {
  /** Only say what is lacking. */
  isDry?: boolean
  scope?: Scope
  /** False for a subject that is to be left alone for now. */
  mayMend?: (subject: string) => boolean
  /** Hears who was being made meanwhile, and may have lost what he had by then: `madeSince` says when to look again. */
  tellMaking?: (owners: readonly string[]) => void
}

/** Compares all in a scope with the records, and puts back what is lacking. */
export async function reconcile({
  isDry = false,
  scope = EVERYTHING,
  mayMend = () => true,
  tellMaking = () => {},
}: ReconcileOptions = {}): Promise<Found[]> {
  const intents = readIntents()
  tellMaking(intents.making)
  const found: Difference[] = []
  for (const part of partsOf(intents, scope)) {
    // On a full host a pass takes a while, and whoever calls meanwhile is served.
    await setImmediate()
    if (isDry || mayMend(part.subject)) found.push(...(await doPart(part, isDry)))
  }
  const attached = new Map(intents.attached.map(({ owner, attachment }) => [owner, attachment]))
  return found.map(each => ({ ...each, ...keyOf(attached.get(each.owner ?? '')) }))
}

/** What the kernel is to do to connections of these owners, as their rules say it. */
export function translatedHere(owners: ReadonlySet<string>): Translated[] {
  const intents = readIntents()
  return (['nftables', 'iptables'] as const)
    .flatMap(backend => intents.natOf(backend))
    .filter(({ owner }) => owners.has(owner))
    .map(translatedOf)
}

/** Forgets connections that began before the rules, of all that there are. @throws NetlinkError */
export function forgetStale(): void {
  const intents = readIntents()
  const all = (['nftables', 'iptables'] as const).flatMap(backend => intents.natOf(backend))
  forgetUntranslated(all.map(translatedOf))
}

function partsOf(intents: Intents, { rules, settings, limits, bridges }: Scope): Part[] {
  const links = linkParts(intents, bridges === 'all' ? undefined : bridges)
  return [
    ...(rules
      ? [...guardPart(intents), ...reachPart(intents), ...ruleParts(intents), ...dropInParts(intents)]
      : []),
    ...links,
    ...(limits ? limitPart(intents) : []),
    ...(settings ? settingParts(intents) : []),
  ]
}

const keyOf = (attachment: Attachment | undefined) =>
  attachment &&
  present({
    network: attachment.network,
    containerId: attachment.containerId,
    ifname: attachment.ifname,
    name: nameOfAttached(attachment),
  })
