/**
 * Which ports of the host are claimed, as files: 256 ports to each, so that a claim costs the same however many
 * others there are, and a range of ten thousand touches forty files. All of it is read and changed under one lock.
 *
 * The order of claims in a file is that in which they were made: of those that meet, the first has the port.
 */

import type { NatBackend } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { listStates, readState, whileLocked, writeState } from '../records/records.ts'

export interface Claim extends PortMapping {
  owner: string
  /** Of an attachment: where its rules are. */
  rules?: NatBackend
  /** The same, of one whose rules are the drop-in portmap's. */
  portmap?: NatBackend
}

const BUCKET = 256
const FOLDER = 'ports'

/** Does something to claims, or by what they say, while they stay as they are. */
export const whileClaimsLocked = <T>(work: () => T | Promise<T>): Promise<T> => whileLocked('ports', work)

/** The files that a mapping's host ports fall into. */
export function bucketsOf(mapping: PortMapping): string[] {
  const first = Math.floor(mapping.hostPort / BUCKET)
  const last = Math.floor((mapping.hostPort + mapping.count - 1) / BUCKET)
  return Array.from({ length: last - first + 1 }, (_, i) => `${FOLDER}/${mapping.protocol}-${first + i}.json`)
}

const readBucket = (bucket: string): Claim[] => readState<Claim[]>(bucket) ?? []

/** What is in the files of some mappings. */
export const readClaims = (mappings: readonly PortMapping[]): Map<string, Claim[]> =>
  new Map([...new Set(mappings.flatMap(bucketsOf))].map(bucket => [bucket, readBucket(bucket)]))

/** Every claim of an owner. Reads all files there are. */
export const claimsOf = (owner: string): Claim[] =>
  listStates<Claim[]>(FOLDER)
    .flat()
    .filter(claim => claim.owner === owner)

/** Changes the files of some mappings, where they are to be changed. */
export function changeClaims(
  mappings: readonly PortMapping[],
  change: (claims: Claim[], bucket: string) => Claim[] | undefined,
): void {
  for (const [bucket, claims] of readClaims(mappings)) {
    const changed = change(claims, bucket)
    if (changed !== undefined) writeState(bucket, changed.length === 0 ? undefined : changed)
  }
}
