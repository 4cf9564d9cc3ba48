/**
 * A guard at a container's port: what it sends carries its own addresses and plays no router.
 */

import type { Ip } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'

export interface SpoofGuard {
  /** ownerTag of the attachment. */
  owner: string
  /** The host's end of the container's veth. */
  hostInterface: string
  /** The container's link-layer address. */
  mac: string
  /** All addresses of the container, both families. */
  addresses: Ip[]
}

/** @throws TsnetError `missing` where neither libnftables nor nft is there */
export async function installSpoofGuard(_backend: NatBackend | undefined, guard: SpoofGuard): Promise<void> {
  throw new TsnetError('internal', `not there yet: ${guard.owner}`)
}

/** Idempotent; needs the owner alone. */
export async function withdrawSpoofGuard(_backend: NatBackend | undefined, owner: string): Promise<void> {
  throw new TsnetError('internal', `not there yet: ${owner}`)
}

/** What differs from an installed guard, in words. */
export async function verifySpoofGuard(
  _backend: NatBackend | undefined,
  guard: SpoofGuard,
): Promise<string[]> {
  throw new TsnetError('internal', `not there yet: ${guard.owner}`)
}
