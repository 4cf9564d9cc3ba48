/** What shall be there, as the records say it. */

import { ipOf } from '../../model/address/address.ts'
import type { Attachment, NatBackend, NatIntent } from '../../model/network.ts'
import type { Publication } from '../../model/publication/publication.ts'
import type { ReachGuard, SpoofGuard } from '../../nat/nat.ts'
import { type ReadClaims, readClaimsOnce } from '../../ports/claim-files.ts'
import { HeldOwners } from '../../records/hold.ts'
import { listPublications, readPublication } from '../../records/publications.ts'
import { listOwners, readEntry } from '../../records/records.ts'
import { listTransits, readTransit } from '../../records/transits.ts'
import { reachGuardOf } from '../plan.ts'
import { asHeld } from '../shared-ports.ts'

/** An attachment that is complete. */
export interface Attached {
  owner: string
  attachment: Attachment
}

export interface Intents {
  /** In the order in which they were made: of two that have a port, the first has it. */
  attached: Attached[]
  published: Publication[]
  /** Owners that were being made when it was read: of attachments, of publications. Nothing is compared with them. */
  making: string[]
  /** What rules of a backend have to achieve: of attachments, of guests once each, of publications. */
  natOf: (backend: NatBackend) => NatIntent[]
}

/** @param owners absent: of the whole host */
export function readIntents(owners: Iterable<string> = listOwners()): Intents {
  const attached: Attached[] = []
  const making: string[] = []
  for (const owner of owners) {
    const entry = readEntry(owner)
    if (entry?.state === 'attached') attached.push({ owner, attachment: entry.attachment })
    if (entry?.state === 'attaching') making.push(owner)
  }
  attached.sort((a, b) => compare(a.attachment.createdAt, b.attachment.createdAt))
  const publications = listPublications()
  const published = publications.filter(isCurrent)
  making.push(...publications.flatMap(({ id, beginning }) => (beginning ? [id] : [])))
  const known = new Map<NatBackend, NatIntent[]>()
  const claims = readClaimsOnce()
  const natOf = (backend: NatBackend): NatIntent[] => {
    const intents = known.get(backend) ?? natIntents(attached, published, claims, backend)
    known.set(backend, intents)
    return intents
  }
  return { attached, published, making, natOf }
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b))

const isCurrent = ({ beginning, ending }: Publication): boolean => !beginning && ending === undefined

/** Undefined for what is being made or taken down. */
export function readAttached(owner: string): Attached | undefined {
  const entry = readEntry(owner)
  return entry?.state === 'attached' ? { owner, attachment: entry.attachment } : undefined
}

/**
 * What became of those that were being made.
 * @returns `made`: whether somebody is there now who was not; `making`: with whom somebody is busy still
 */
export function madeSince(making: Iterable<string>): { made: boolean; making: string[] } {
  using held = new HeldOwners()
  const all = [...making]
  const still = all.filter(owner => !held.take(owner))
  const isMade = (owner: string): boolean => {
    const publication = readPublication(owner)
    return publication === undefined ? readAttached(owner) !== undefined : isCurrent(publication)
  }
  return { made: all.some(owner => !still.includes(owner) && isMade(owner)), making: still }
}

/** Takes the lock of one that is as it was when it was looked at. False where somebody is busy with it, or was since. */
export function takeUnchanged(held: HeldOwners, { owner, attachment }: Attached): boolean {
  const now = held.take(owner) ? readAttached(owner) : undefined
  return now !== undefined && JSON.stringify(now.attachment) === JSON.stringify(attachment)
}

function natIntents(
  attached: readonly Attached[],
  published: readonly Publication[],
  claims: ReadClaims,
  backend: NatBackend,
): NatIntent[] {
  const own = attached.flatMap(({ owner, attachment: { nat } }) =>
    nat?.backend === backend ? [asHeld(owner, nat, claims)] : [],
  )
  const publications = published.flatMap(({ nat }) => (nat?.backend === backend ? [nat] : []))
  const guests = new Map(publications.flatMap(nat => nat.guests.map(guest => [guest.owner, guest])))
  const transits = listTransits().flatMap(each => (each.backend === backend ? [each.intent] : []))
  return [...own, ...transits, ...guests.values(), ...publications.map(({ ports }) => ports)]
}

/** Takes the lock of one that lets other hosts' packets through. False where it does no more. */
export const takeTransit = (held: HeldOwners, owner: string): boolean =>
  readTransit(owner) !== undefined && held.take(owner) && readTransit(owner) !== undefined

/** Whose rules publications have by now, wherever they lead: their own, and their guests'. */
export const ownersPublished = (): Set<string> =>
  new Set(
    listPublications()
      .filter(isCurrent)
      .flatMap(({ id, nat }) => [id, ...(nat?.guests ?? []).map(({ owner }) => owner)]),
  )

/** True while a publication, or one of those that share a guest, still is what it was. */
const isStillPublished = ({ published }: Intents, owner: string): boolean =>
  publicationsOf(published, owner).some(each => {
    const now = readPublication(each.id)
    return now !== undefined && isCurrent(now) && JSON.stringify(now.nat) === JSON.stringify(each.nat)
  })

/** Takes the locks of a publication, or of all that share a guest. False where one is being made, led elsewhere or ended. */
export const takePublished = (held: HeldOwners, intents: Intents, owner: string): boolean =>
  publicationsOf(intents.published, owner).every(({ id }) => held.take(id)) &&
  isStillPublished(intents, owner)

const publicationsOf = (published: readonly Publication[], owner: string): Publication[] =>
  published.filter(({ id, nat }) => id === owner || nat?.guests.some(guest => guest.owner === owner))

/** The spoof guards, with the backend that each is asked of. */
export const guardsOf = ({ attached }: Intents): SpoofGuard[] =>
  attached
    .filter(({ attachment }) => attachment.macspoofchk && attachment.dropIn === undefined)
    .map(({ owner, attachment: { hostInterface, containerInterface, leases } }) => ({
      owner,
      hostInterface: hostInterface.name,
      mac: containerInterface.mac,
      addresses: leases.map(({ address }) => ipOf(address)),
    }))

/** What containers may reach, of those that may not reach everybody. */
export const reachGuardsOf = ({ attached }: Intents): ReachGuard[] =>
  attached.flatMap(({ owner, attachment }) => {
    const { hostInterface, containerInterface, bridgeOptions } = attachment
    const known = { owner, hostInterface: hostInterface.name, mac: containerInterface.mac }
    return reachGuardOf(attachment, bridgeOptions, known) ?? []
  })
