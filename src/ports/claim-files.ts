/**
 * Which ports of the host are claimed, as files: 256 ports to each, so that a claim costs the same however many
 * others there are, and a range of ten thousand touches forty files. All of it is read and changed under one lock.
 *
 * The order of claims in a file is that in which they were made: of those that meet, the first has the port.
 *
 * A damaged file is made anew from what it is about: the records of attachments, of the drop-in portmap and of
 * publications, the older first. Whoever only reads does so for himself; who changes it, under the lock, puts
 * the new one in its place. Nobody else's ports are concerned meanwhile, and no port goes to two.
 */

import { listOf, optional, text } from '../model/json/shape.ts'
import { type NatBackend, ownerTag } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import type { Publication } from '../model/publication/publication.ts'
import { listRecords } from '../records/chained.ts'
import { listPublications } from '../records/publications.ts'
import { listEntries, whileLocked } from '../records/records.ts'
import { listNames } from '../records/run-directory.ts'
import { backend, mappingWith } from '../records/shapes.ts'
import { lookAtState, replaceDamaged, writeState } from '../records/state-files.ts'

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

const SHAPE = listOf(mappingWith({ owner: text, rules: optional(backend), portmap: optional(backend) }))

/** `damage`: what is wrong with the file, and the claims are what it should say. */
function readBucket(bucket: string): { claims: Claim[]; damage?: string } {
  const found = lookAtState<Claim[]>(bucket, SHAPE)
  if (found === undefined || 'value' in found) return { claims: found?.value ?? [] }
  return { claims: claimsByRecords(bucket), ...found }
}

/** Who has ports of a file, as far as records tell. */
function claimsByRecords(bucket: string): Claim[] {
  const attachments = listEntries().flatMap(({ owner, entry: { attachment } }) =>
    attachment.ports.map(mapping => ({
      at: attachment.createdAt,
      claim: { ...mapping, owner, ...present({ rules: attachment.nat?.backend }) },
    })),
  )
  const mapped = listRecords('portmap').flatMap(record =>
    record.intent.ports.map(port => ({
      at: record.createdAt,
      claim: { ...port, count: 1, owner: ownerTag(record), portmap: record.backend },
    })),
  )
  const published = listPublications().map(publication => ({
    at: publication.createdAt,
    claim: claimOfPublication(publication),
  }))
  return [...attachments, ...mapped, ...published]
    .filter(({ claim }) => bucketsOf(claim).includes(bucket))
    .sort((a, b) => a.at.localeCompare(b.at))
    .map(({ claim }) => claim)
}

function claimOfPublication({ id, protocol, hostIp, hostPort, count, target }: Publication): Claim {
  const containerPort = 'port' in target ? target.port : 1
  return { protocol, hostPort, containerPort, count, owner: id, ...present({ hostIp }) }
}

/** What is in the files of some mappings. */
export type ReadClaims = (mappings: readonly PortMapping[]) => Map<string, Claim[]>

const reading =
  (read: (bucket: string) => Claim[]): ReadClaims =>
  mappings =>
    new Map([...new Set(mappings.flatMap(bucketsOf))].map(bucket => [bucket, read(bucket)]))

export const readClaims = reading(bucket => readBucket(bucket).claims)

/** For who looks at many owners, whose ports are in the same files: each is read when it is first asked for. */
export function readClaimsOnce(): ReadClaims {
  const known = new Map<string, Claim[]>()
  return reading(bucket => {
    const claims = known.get(bucket) ?? readBucket(bucket).claims
    known.set(bucket, claims)
    return claims
  })
}

/** Every claim of an owner. Reads all files there are. */
export const claimsOf = (owner: string): Claim[] =>
  listNames(FOLDER)
    .filter(name => name.endsWith('.json'))
    .flatMap(name => readBucket(`${FOLDER}/${name}`).claims)
    .filter(claim => claim.owner === owner)

/** Changes the files of some mappings, where they are to be changed. To be called under the lock. */
export function changeClaims(
  mappings: readonly PortMapping[],
  change: (claims: Claim[], bucket: string) => Claim[] | undefined,
): void {
  for (const bucket of new Set(mappings.flatMap(bucketsOf))) {
    const { claims, damage } = readBucket(bucket)
    const changed = change(claims, bucket) ?? (damage === undefined ? undefined : claims)
    if (changed === undefined) continue
    const left = changed.length === 0 ? undefined : changed
    if (damage === undefined) writeState(bucket, left)
    else replaceDamaged(bucket, damage, left, 'who has these ports is known by the records')
  }
}
