/**
 * Addresses for attachments.
 */

import type { Ip } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { AttachmentKey, Dns, IpamOptions, Lease, NamespaceId, Route } from '../model/network.ts'

export { normalise, type Pool, type PoolRange } from './pool.ts'

/** What an IPAM gives to one attachment. */
export interface Allocation {
  /** One from each range set, in their order. */
  leases: Lease[]
  routes: Route[]
  dns?: Dns
}

/** Who asks for addresses, and how its end can be recognised. */
export interface LeaseOwner extends AttachmentKey {
  /** Absent: the caller knows of none, and only another boot id ends the lease. */
  netns?: { path: string } & NamespaceId
  bootId: string
}

const later = (what: string) => new TsnetError('internal', `${what} is not there yet`)

/**
 * Takes addresses for an attachment: one from each range set, the requested ones where they belong.
 * On any failure all that this call took is given back.
 * @throws TsnetError `exhausted`, `conflict`, `invalid-config`, `try-again`, `io`; a DelegateError
 */
export async function obtain(
  options: IpamOptions,
  owner: LeaseOwner,
  requestedIps: Ip[],
): Promise<Allocation> {
  if (options.kind === 'none') return { leases: [], routes: [] }
  throw later(`obtain ${owner.containerId} ${requestedIps.join()}`)
}

/** Gives back all addresses of an attachment; any number of times. */
export async function giveBack(
  options: IpamOptions,
  key: AttachmentKey,
  netnsPath: string | undefined,
): Promise<void> {
  if (options.kind !== 'none') throw later(`giveBack ${key.containerId} ${netnsPath}`)
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
  if (options.kind === 'none') return []
  throw later(`verifyLeases ${key.containerId} ${netnsPath} ${leases.length} ${prevResult}`)
}

/**
 * Frees leases of a network whose owners are gone.
 * @param stillValid all attachments that may keep theirs, foreign leases included in the judgement;
 *   undefined: only owners that are provably dead lose theirs
 * @returns whose leases were freed
 */
export async function collectLeases(
  options: IpamOptions,
  network: string,
  stillValid: Pick<AttachmentKey, 'containerId' | 'ifname'>[] | undefined,
): Promise<AttachmentKey[]> {
  if (options.kind === 'none') return []
  throw later(`collectLeases ${network} ${stillValid?.length}`)
}

/** @throws TsnetError `exhausted` when an obtain would find no address, reclaimable ones counted as free */
export async function ipamStatus(options: IpamOptions, network: string): Promise<void> {
  if (options.kind !== 'none') throw later(`ipamStatus ${network}`)
}
