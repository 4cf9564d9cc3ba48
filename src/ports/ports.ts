/**
 * Which container publishes which port of the host, and what else the host owes to those ports.
 *
 *     claim-files     who has which port, as files
 *     probe           is it free, and who holds it if not
 *     bound-sockets   who listens where, as /proc shows it
 *     reserved        ports that a runtime listens on itself
 *     foreign-rules   do the rules of others let it through
 *     hairpin, localnet, return-path   settings of the host that it needs: written down before, given back after
 *     portmap-rules   rules of the ports that the drop-in portmap leads
 *
 * Kernel rules hold no socket, so who publishes what is written down (claim-files.ts). Of any number that ask at
 * once for one port, exactly one container gets it. A claim whose owner stands for nothing any more is void:
 * whoever finds it takes it over.
 *
 * A container on two networks has two attachments, and runtimes give each the same list of ports. They claim it
 * behind one another, and what follows from that is told in network/shared-ports.ts. A container is known by its id and
 * its namespace: one of the same id in another namespace is an earlier life of it, or somebody else.
 */

import { isBroadcast } from '../ffi/broadcast.ts'
import type { HostIp } from '../model/address/address.ts'
import { BROADCAST_PROBLEM } from '../model/address/host.ts'
import { TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'
import { describeHostPorts, type PortMapping, portsMeet, portsOutside } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { containerOf, describeOwner, type OwningContainer, sameContainer } from '../records/owners.ts'
import { bucketsOf, type Claim, changeClaims, readClaims, whileClaimsLocked } from './claim-files.ts'
import { type ProbeOptions, probePorts } from './probe.ts'

export interface ClaimOptions extends ProbeOptions {
  /** False where whoever calls listens on the ports next, and finds out that way. */
  probe?: boolean
  /** Of an attachment: where its rules will be. */
  rules?: NatBackend | undefined
  /** The same, of the drop-in portmap. */
  portmap?: NatBackend | undefined
}

/**
 * Claims all ports of an owner, or none. To be called when it stands for something.
 * @throws TsnetError `conflict` naming the port and who has it; `invalid-config` for an address that is
 *   not one of this host
 */
export async function claimPorts(
  owner: string,
  mappings: readonly PortMapping[],
  { probe = true, rules, portmap, ...options }: ClaimOptions = {},
): Promise<void> {
  if (mappings.length === 0) return
  await whileClaimsLocked(() => {
    const isSame = refuseTaken(owner, mappings, { probe, ...options })
    changeClaims(mappings, (claims, bucket) => {
      const ours = mappings.filter(mapping => bucketsOf(mapping).includes(bucket))
      // What still meets ours is the container's, or void, or ours from an attempt that died.
      const others = claims.filter(
        claim => claim.owner !== owner && (!meetsAny(claim, mappings) || isSame(claim)),
      )
      return [...others, ...ours.map(mapping => ({ ...mapping, owner, ...present({ rules, portmap }) }))]
    })
  })
}

/**
 * As claimPorts, and nothing is claimed: somebody else may have them in the next moment.
 * @throws TsnetError as claimPorts
 */
export const requireFree = (mappings: readonly PortMapping[]): Promise<void> =>
  whileClaimsLocked(() => void refuseTaken(undefined, mappings, { probe: true }))

/** @returns true for claims of the owner's container */
function refuseTaken(
  owner: string | undefined,
  mappings: readonly PortMapping[],
  { probe, ...options }: ProbeOptions & { probe: boolean },
): (claim: Claim) => boolean {
  for (const ip of new Set(mappings.map(({ hostIp }) => hostIp))) if (ip !== undefined) refuseBroadcast(ip)
  const isSame = owner === undefined ? () => false : ofContainer(owner)
  const rivals = rivalsOf(owner, mappings)
  const shared = rivals.filter(isSame)
  for (const claim of rivals) if (!shared.includes(claim)) refuse(claim, mappings)
  if (!probe) return isSame
  // Who listens on a port that the container has, listens for the container.
  const unknown = mappings.flatMap(mapping =>
    portsOutside(
      mapping,
      shared.filter(claim => portsMeet(claim, mapping)),
    ),
  )
  probePorts(unknown, options)
  return isSame
}

/** @throws TsnetError `invalid-config` */
function refuseBroadcast(ip: HostIp): void {
  if (isBroadcast(ip)) throw new TsnetError('invalid-config', `hostIP: ${ip} ${BROADCAST_PROBLEM}`)
}

/** Gives the ports back. Idempotent. */
export async function releasePorts(owner: string, mappings: readonly PortMapping[]): Promise<void> {
  if (mappings.length > 0) await whileClaimsLocked(() => forgetClaims(owner, mappings))
}

/** As releasePorts, under the claims' lock. */
export const forgetClaims = (owner: string, mappings: readonly PortMapping[]): void =>
  changeClaims(mappings, claims => {
    const others = claims.filter(claim => claim.owner !== owner)
    return others.length < claims.length ? others : undefined
  })

/** Claims of others that meet some of the ports. */
export const rivalsOf = (
  owner: string | undefined,
  mappings: readonly PortMapping[],
  read = readClaims,
): Claim[] =>
  [...read(mappings).values()].flat().filter(claim => claim.owner !== owner && meetsAny(claim, mappings))

const meetsAny = (claim: Claim, mappings: readonly PortMapping[]): boolean =>
  mappings.some(mapping => portsMeet(mapping, claim))

/** True for claims of other attachments of an owner's container. */
function ofContainer(owner: string): (claim: Claim) => boolean {
  const own = containerOf(owner)
  const known = new Map<string, boolean>()
  return claim => {
    const same = known.get(claim.owner) ?? isContainer(own, containerOf(claim.owner))
    known.set(claim.owner, same)
    return same
  }
}

const isContainer = (a: OwningContainer | undefined, b: OwningContainer | undefined): boolean =>
  a !== undefined && b !== undefined && sameContainer(a, b)

/** @throws TsnetError `conflict`, unless the claim is void */
function refuse(claim: Claim, mappings: readonly PortMapping[]): void {
  const holder = describeOwner(claim.owner)
  const mapping = mappings.find(each => portsMeet(each, claim))
  if (holder === undefined || mapping === undefined) return
  const first = Math.max(mapping.hostPort, claim.hostPort)
  const what = describeHostPorts({ ...mapping, hostPort: first, count: 1 })
  throw new TsnetError(
    'conflict',
    `port ${what} is already published for ${holder}; choose another host port or remove that one`,
  )
}
