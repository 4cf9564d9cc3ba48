/**
 * Which attachment publishes which port of the host.
 *
 * Kernel rules hold no socket, so who publishes what is written down, 256 ports to a file: a claim costs
 * the same however many others there are, and a range of ten thousand touches forty files. Claims are
 * made and looked at under one lock; of any number that ask at once, exactly one gets the port.
 *
 * A claim whose owner stands for nothing any more is void: whoever finds it takes it over.
 */

import { TsnetError } from '../model/errors.ts'
import { coversAddress, describeHostPorts, type PortMapping } from '../model/port-mapping.ts'
import { describeOwner } from './owners.ts'
import { type ProbeOptions, probePorts } from './port-probe.ts'
import { readState, whileLocked, writeState } from './state.ts'

interface Claim extends PortMapping {
  owner: string
}

const BUCKET = 256
const LOCK = 'ports'

/**
 * Claims all ports of an attachment, or none.
 * @param probe false where whoever calls listens on the ports next, and finds out that way
 * @throws TsnetError `conflict` naming the port and who has it; `invalid-config` for an address that is
 *   not one of this host
 */
export async function claimPorts(
  owner: string,
  mappings: readonly PortMapping[],
  { probe = true, ...options }: { probe?: boolean } & ProbeOptions = {},
): Promise<void> {
  if (mappings.length === 0) return
  const buckets = [...new Set(mappings.flatMap(bucketsOf))]
  await whileLocked(LOCK, () => {
    for (const claim of buckets.flatMap(readBucket)) {
      for (const mapping of mappings) refuseConflict(owner, mapping, claim)
    }
    if (probe) for (const mapping of mappings) probePorts(mapping, options)
    for (const bucket of buckets) {
      // What still meets ours is void, or ours from an attempt that died.
      const others = readBucket(bucket).filter(claim => !mappings.some(mapping => portsMeet(mapping, claim)))
      const ours = mappings.filter(mapping => bucketsOf(mapping).includes(bucket))
      writeBucket(bucket, [...others, ...ours.map(mapping => ({ ...mapping, owner }))])
    }
  })
}

/** Gives the ports back. Idempotent. */
export async function releasePorts(owner: string, mappings: readonly PortMapping[]): Promise<void> {
  const buckets = new Set(mappings.flatMap(bucketsOf))
  if (buckets.size === 0) return
  await whileLocked(LOCK, () => {
    for (const bucket of buckets) {
      const claims = readBucket(bucket)
      const others = claims.filter(claim => claim.owner !== owner)
      if (others.length < claims.length) writeBucket(bucket, others)
    }
  })
}

function refuseConflict(owner: string, mapping: PortMapping, claim: Claim): void {
  if (claim.owner === owner || !portsMeet(mapping, claim)) return
  const holder = describeOwner(claim.owner)
  if (holder === undefined) return
  const first = Math.max(mapping.hostPort, claim.hostPort)
  const what = describeHostPorts({ ...mapping, hostPort: first, count: 1 })
  throw new TsnetError(
    'conflict',
    `port ${what} is already published for ${holder}; choose another host port or remove that one`,
  )
}

/** True when one packet could belong to both. */
function portsMeet(a: PortMapping, b: PortMapping): boolean {
  const addresses = coversAddress(a.hostIp, b.hostIp) || coversAddress(b.hostIp, a.hostIp)
  const ports = a.hostPort < b.hostPort + b.count && b.hostPort < a.hostPort + a.count
  return a.protocol === b.protocol && addresses && ports
}

/** The files that a mapping's host ports fall into. */
function bucketsOf(mapping: PortMapping): string[] {
  const first = Math.floor(mapping.hostPort / BUCKET)
  const last = Math.floor((mapping.hostPort + mapping.count - 1) / BUCKET)
  return Array.from({ length: last - first + 1 }, (_, i) => `ports/${mapping.protocol}-${first + i}.json`)
}

const readBucket = (bucket: string): Claim[] => readState<Claim[]>(bucket) ?? []

const writeBucket = (bucket: string, claims: Claim[]): void =>
  writeState(bucket, claims.length === 0 ? undefined : claims)
