/**
 * Which leases nobody needs any more.
 *
 * A survey reads every lease of a network with our record of its owner; the rules below pick from it.
 * *Spent* is what nothing can lead to any more, and is taken back as soon as the pool is short:
 * - what an owner from another boot had, or one whose record a power loss tore;
 * - a file that names no owner. Whoever is about to write one holds the lock, and so do we.
 * *Dead* is also what an owner had whose namespace is gone. Rules and ports of this boot may still lead to
 * its addresses, and would lead to whoever gets them next; so they are not taken back in passing, but by
 * a collection, before which the rules go.
 * A lease without our record is foreign: host-local gave it. Only a GC with a list takes it back, and one whose
 * record is lost.
 */

import type { Ip } from '../model/address/address.ts'
import type { AttachmentKey } from '../model/network.ts'
import { goneCheck } from '../netns/alive.ts'
import { keyOf, type NetworkFiles } from './files.ts'
import type { KnownRecord } from './record.ts'
import type { Holder } from './store.ts'

/** A lease as a survey finds it. Without a holder it is garbage. */
export interface Found {
  ip: Ip
  holder?: Holder
  record?: KnownRecord
}

/**
 * Reads all leases of a network; only under its lock. Costs some 10 µs a lease, and as much for its record.
 * @param withRecords false where it is enough to know who holds what
 */
export function survey({ network, leases, records }: NetworkFiles, withRecords = true): Found[] {
  return [...leases.list()].flatMap(ip => {
    const content = leases.read(ip)
    if (content === undefined) return []
    if (content === 'garbage') return [{ ip }]
    if (!withRecords) return [{ ip, holder: content }]
    const record = records.peek(keyOf(network, content))
    return [record === undefined ? { ip, holder: content } : { ip, holder: content, record }]
  })
}

/** True for the record of an owner that did not survive the last boot. */
export const isSpent = (record: KnownRecord, bootId: string): boolean =>
  record === 'torn' || (record !== 'lost' && record.bootId !== bootId)

/** A check of records: true when the owner is provably dead. */
export function deadCheck(bootId: string): (record: KnownRecord) => boolean {
  const isGone = goneCheck()
  return record => {
    if (isSpent(record, bootId)) return true
    return typeof record === 'object' && record.netns !== undefined && isGone(record.netns)
  }
}

/** The leases of a survey that name nobody, or somebody for whom this is true. */
export const heldOnlyBy = (found: Found[], isOver: (record: KnownRecord) => boolean): Found[] =>
  found.filter(({ holder, record }) => holder === undefined || (record !== undefined && isOver(record)))

/** An attachment as lists of GC name it. */
export type AttachmentName = Pick<AttachmentKey, 'containerId' | 'ifname'>

/** The leases of a survey whose holders are not in a list. host-local's oldest form names no interface. */
export function unlisted(found: Found[], list: AttachmentName[]): Found[] {
  const containers = new Set(list.map(({ containerId }) => containerId))
  const attachments = new Set(list.map(({ containerId, ifname }) => `${containerId} ${ifname}`))
  return found.filter(({ holder }) => {
    if (holder === undefined) return true
    if (holder.ifname === undefined) return !containers.has(holder.containerId)
    return !attachments.has(`${holder.containerId} ${holder.ifname}`)
  })
}

/**
 * Frees the dead among the leases of a survey, then removes the records that are left without any, and
 * what killed writers left.
 * @returns whose leases they were
 */
export function takeBack(
  { network, leases, records }: NetworkFiles,
  found: Found[],
  dead: Found[],
): AttachmentKey[] {
  for (const { ip } of dead) leases.free(ip)
  const gone = new Set(dead)
  records.keepOnly(
    holdersOf(
      network,
      found.filter(lease => !gone.has(lease)),
    ),
  )
  return holdersOf(network, dead)
}

function holdersOf(network: string, found: Found[]): AttachmentKey[] {
  const keys = new Map<string, AttachmentKey>()
  for (const { holder } of found) {
    if (holder !== undefined) keys.set(`${holder.containerId} ${holder.ifname}`, keyOf(network, holder))
  }
  return [...keys.values()]
}
