/**
 * Addresses: who has which, and how nobody gets one that another has.
 *
 *     obtain ──▶ assign requested ──▶ choose the rest ──▶ record ──▶ link ──▶ Allocation
 *                 (allocator.ts)      (last + 1, …)       (ours)    (host-local's files)
 *                                          │ pool short
 *                                          └─▶ reclaim what is spent, choose again
 *
 * The leases are host-local's files, so a host can change between it and us, or use both at once:
 *
 *     <dataDir>/<network>/10.1.0.2             "id\r\nifname", mode 0600
 *     <dataDir>/<network>/last_reserved_ip.0   where the round robin of range set 0 stands
 *     <dataDir>/<network>/lock                 flock(2) around each operation
 *     <dataDir>/.tsnet/<network>/<owner tag>   ours: the owner's boot, namespace and addresses
 *
 * Order of steps. Our record first, then the leases, each by link(2) of a file that is complete: EEXIST
 * means taken and we look again. A release goes the other way, the record last. So whatever is left by a
 * kill at any point names its owner; nothing is half there, and nothing is lost for ever.
 *
 * What is undone. An obtain that fails has freed all that it took. Nothing is synced to disk: a power loss
 * ends every container, and what it leaves torn counts as dead.
 *
 * What is reclaimed: see reclaim.ts. An obtain takes back what nothing can lead to any more, above all
 * what was leased before the last boot. The leases of a namespace that vanished since are given back by
 * collectLeases, when the rules that lead to them are gone; ipamStatus counts them as free. Leases without
 * our record are foreign and stay until a GC with a list.
 *
 * Cost. Taking and releasing look at a few files of known names, however many leases there are. All are
 * read only when the pool is full, by GC, and by a release where others may have given leases: a folder in
 * which every lease is ours is marked so by its time, which changes with whoever changes the folder.
 *
 * Limits. A folder belongs to one host: to another every lease would seem to be from another boot. A
 * container that host-local gave an address is not known to us, so a second ADD for it is not refused as a
 * duplicate. On a file system without flock or hard links nothing works.
 */

import type { Ip } from '../model/address/address.ts'
import type { AddressRange, AttachmentKey, IpamOptions, Lease } from '../model/network.ts'
import { present } from '../model/present.ts'
import { delegateAdd, delegateCheck, delegateDel, delegateGc, delegateStatus } from './delegate.ts'
import { NetworkFiles } from './files.ts'
import { checkRoom, collect, held, listDead, release, suggest, take, verify } from './host-local.ts'
import type { Allocation } from './plugin-result.ts'
import { normalise } from './pool.ts'
import type { AttachmentName } from './reclaim.ts'
import type { LeaseOwner } from './record.ts'
import { readResolvConf } from './resolv-conf.ts'

export type { Allocation } from './plugin-result.ts'
export { normalise, type Pool, type PoolRange } from './pool.ts'
export type { AttachmentName } from './reclaim.ts'
export { type LeaseOwner, recordsFolder } from './record.ts'

/**
 * Takes addresses for an attachment: one from each range set, the requested ones where they belong.
 * On any failure all that this call took is given back.
 * @throws TsnetError `exhausted` no address left, or a requested one taken: a collection may free some;
 *   `conflict` the attachment has addresses already; `invalid-config` ranges or requests that make no
 *   sense; `try-again`; `io`; `delegate` with the plugin's own code; `missing` no such plugin
 */
export async function obtain(
  options: IpamOptions,
  owner: LeaseOwner,
  requestedIps: Ip[],
): Promise<Allocation> {
  switch (options.kind) {
    case 'none':
      return { leases: [], routes: [] }
    case 'delegated':
      return delegateAdd(options.delegation, owner)
    case 'host-local': {
      // Read first: nothing has been taken when it fails.
      const dns = options.resolvConf === undefined ? undefined : readResolvConf(options.resolvConf)
      const files = new NetworkFiles(options.dataDir, owner.network)
      const leases = await take(files, normalise(options.ranges), owner, requestedIps)
      return present({ leases, routes: options.routes, dns })
    }
  }
}

/**
 * For somebody who asks for an address before there is an attachment: the next one of a range, or the one asked for if it
 * is free. Nobody has it before `obtain` is asked for it; until then only its turn keeps others from it.
 * @throws TsnetError as `obtain`
 */
export const suggestAddress = (
  network: string,
  { dataDir }: Extract<IpamOptions, { kind: 'host-local' }>,
  range: AddressRange,
  requested: Ip | undefined,
): Promise<Ip> => suggest(new NetworkFiles(dataDir, network), normalise([[range]])[0] ?? [], requested)

/**
 * Gives back all addresses of an attachment; any number of times, and whatever has become of the ranges.
 * @param netnsPath for a delegated plugin; undefined when the namespace is gone
 */
export async function giveBack(
  options: IpamOptions,
  key: AttachmentKey,
  netnsPath: string | undefined,
): Promise<void> {
  if (options.kind === 'delegated') await delegateDel(options.delegation, key, netnsPath)
  if (options.kind === 'host-local') await release(new NetworkFiles(options.dataDir, key.network), key)
}

/** The addresses that an attachment holds, as far as our files or host-local's say. */
export function heldLeases(options: IpamOptions, key: AttachmentKey): Ip[] {
  return options.kind === 'host-local' ? held(new NetworkFiles(options.dataDir, key.network), key) : []
}

/**
 * What CHECK finds wrong with the leases of an attachment; empty when all is well.
 * @param prevResult the CNI result that a delegated plugin is asked to check
 */
export async function verifyLeases(
  options: IpamOptions,
  key: AttachmentKey,
  netnsPath: string | undefined,
  leases: Lease[],
  prevResult?: Record<string, unknown>,
): Promise<string[]> {
  switch (options.kind) {
    case 'none':
      return []
    case 'delegated':
      return delegateCheck(options.delegation, key, netnsPath, prevResult)
    case 'host-local':
      return verify(new NetworkFiles(options.dataDir, key.network), key, leases)
  }
}

/**
 * Frees leases of a network whose owners are gone.
 * @param stillValid all attachments that may keep theirs; foreign leases are held against it as well.
 *   undefined: only owners that are provably dead lose theirs
 * @param kept attachments that keep theirs in either case: something may still lead to their addresses
 * @returns whose leases were freed; a delegated plugin does not say
 */
export async function collectLeases(
  options: IpamOptions,
  network: string,
  stillValid: AttachmentName[] | undefined,
  kept: AttachmentName[] = [],
): Promise<AttachmentKey[]> {
  switch (options.kind) {
    case 'none':
      return []
    case 'delegated':
      await delegateGc(options.delegation, stillValid && [...stillValid, ...kept])
      return []
    case 'host-local':
      return collect(new NetworkFiles(options.dataDir, network), stillValid, kept)
  }
}

/** The addresses that collectLeases without a list would free, and whose they were as far as that is known. */
export async function deadLeases(
  options: IpamOptions,
  network: string,
  kept: AttachmentName[],
): Promise<{ ip: Ip; containerId?: string }[]> {
  if (options.kind !== 'host-local') return []
  const found = await listDead(new NetworkFiles(options.dataDir, network), kept)
  return found.map(({ ip, holder }) => ({ ip, ...(holder && { containerId: holder.containerId }) }))
}

/**
 * Asks whether an obtain would find addresses, the reclaimable ones counted as free.
 * @throws TsnetError `exhausted`; what the delegated plugin answers
 */
export async function ipamStatus(options: IpamOptions, network: string): Promise<void> {
  if (options.kind === 'delegated') await delegateStatus(options.delegation)
  if (options.kind === 'host-local') {
    await checkRoom(new NetworkFiles(options.dataDir, network), normalise(options.ranges))
  }
}
