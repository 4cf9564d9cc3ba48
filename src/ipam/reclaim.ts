/**
 * Which leases nobody needs any more.
 *
 * A survey reads every lease of a network with our record of its owner; the rules below pick from it.
 * Dead, and taken back when the pool is short or GC comes without a list:
 * - an owner from another boot, or one whose record a power loss tore;
 * - an owner whose namespace is gone;
 * - a file that names no owner. Whoever is about to write one holds the lock, and so do we.
 * A lease without our record is foreign: host-local gave it. Only a GC with a list takes it back.
 */

import type { Ip } from '../model/address.ts'
import type { AttachmentKey } from '../model/network.ts'
import { goneCheck, type RecordedNetns } from '../netns/alive.ts'
import { keyOf, type NetworkFiles } from './files.ts'
import type { LeaseRecord } from './record.ts'
import type { Holder } from './store.ts'

/** A lease as a survey finds it. Without a holder it is garbage. */
export interface Found {
  ip: Ip
  holder?: Holder
  record?: LeaseRecord | 'unreadable'
}

/** Reads all leases of a network; only under its lock. Costs some 20 µs a lease. */
export function survey({ network, leases, records }: NetworkFiles): Found[] {
  return [...leases.list()].flatMap(ip => {
    const content = leases.read(ip)
    if (content === undefined) return []
    if (content === 'garbage') return [{ ip }]
    const record = records.read(keyOf(network, content))
    return [record === undefined ? { ip, holder: content } : { ip, holder: content, record }]
  })
}

/** A check of owners: true for one that is provably dead. */
export function deadCheck(bootId: string): (record: LeaseRecord | 'unreadable') => boolean {
  const isGone: (netns: RecordedNetns) => boolean = goneCheck()
  return record => {
    if (record === 'unreadable' || record.bootId !== bootId) return true
    return record.netns !== undefined && isGone(record.netns)
  }
}

/** The leases of a survey that may be taken back without asking anybody. */
export function reclaimable(found: Found[], bootId: string): Found[] {
  const isDead = deadCheck(bootId)
  return found.filter(
    ({ holder, record }) => holder === undefined || (record !== undefined && isDead(record)),
  )
}

/** The leases of a survey whose holders are not in a list of all attachments that still exist. */
export function unlisted(
  found: Found[],
  stillValid: Pick<AttachmentKey, 'containerId' | 'ifname'>[],
): Found[] {
  const containers = new Set(stillValid.map(({ containerId }) => containerId))
  const attachments = new Set(stillValid.map(({ containerId, ifname }) => `${containerId} ${ifname}`))
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
