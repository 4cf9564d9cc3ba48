/**
 * Every published port of this host that somebody can ask for, each with what is so about it.
 *
 *     publish   tsnet publish                      files of ours, and the daemon's counters and obstacles
 *     cni       networks of tsnet                  entries of attachments
 *     portmap   the drop-in of that name           its records
 *     docker    dockerd                            its API; where our docker-proxy is its, the daemon's counters
 */

import type { HostIp } from '../model/address/address.ts'
import type { HostPortRecord } from '../model/chained.ts'
import { hasCode, messageOf } from '../model/errors.ts'
import { nameOfAttached, ownerTag } from '../model/network.ts'
import type { PortMapping, Protocol } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { shortName } from '../model/publication/container-name.ts'
import type { Publication, Service } from '../model/publication/publication.ts'
import type { Counters } from '../proxy/proxy.ts'
import { listRecords } from '../records/chained.ts'
import { listResting } from '../records/lasting.ts'
import type { Mention } from '../records/mention.ts'
import { listPublications } from '../records/publications.ts'
import { listEntries, type NamedEntry } from '../records/records.ts'
import { type DockerPort, dockerPorts, namesById } from '../runtime/runtime.ts'
import type { HeldPort } from './attachment-ports.ts'
import { type Condition, conditionOf, ListeningIn, type Place } from './condition.ts'
import { forwardingId } from './forwarding.ts'
import type { Redirected } from './front/front.ts'
import type { Served } from './publish.ts'

/** What all listed ports have in common. */
export interface ListedPort extends Condition {
  source: 'publish' | 'cni' | 'portmap' | 'docker'
  /** Of the publication; else the owner tag, or dockerd's container. */
  id: string
  protocol: Protocol
  /** Absent: every address. */
  hostIp?: HostIp
  hostPort: number
  count: number
  target: Publication['target']
  containers: { name: string; id: string; asked?: string }[]
  service?: Service
  network?: string
  expiresAt?: number
  /** Of a publication: it outlives container and host, and waits for both. */
  keep?: true
  /** Of a publication: the host's port is dialled, and the target's listened on in the container. */
  reverse?: true
  resting?: true
  counters?: Counters
  redirected?: Redirected
}

/** @param hasDaemon false: `published` is what is written down */
export function listPublished(published: readonly Served[], hasDaemon: boolean): (Served & ListedPort)[] {
  const listening = new ListeningIn()
  return published.map(each => ({
    ...each,
    source: 'publish',
    ...conditionOf(factsOf(each, hasDaemon), listening),
  }))
}

/**
 * What is published, by what is written down alone: no daemon runs.
 * @param mention of many, those that may speak of it; absent: all
 */
export const publishedHere = (mention?: Mention): Served[] => [
  ...listPublications(mention),
  ...listResting().map(each => ({ ...each, resting: true as const, obstacle: 'no daemon runs' })),
]

/** What is so about a publication, as conditionOf takes it. */
export function factsOf(served: Served, hasDaemon: boolean) {
  const { protocol, target, count, containers, service, via, mode, nat, counters, redirected } = served
  const { ending, drainsUntil } = served
  const { obstacle, natObstacle, redirectObstacle } = served
  return {
    protocol,
    target,
    count,
    containers,
    ...(service !== undefined && { service }),
    ...(served.reverse && { reverse: served }),
    inside: via === 'netns' || (via === 'auto' && containers.every(each => each.addresses.length === 0)),
    ...(nat && { backend: nat.backend }),
    isHeld: counters !== undefined,
    isRedirected: redirected !== undefined,
    needsDaemon: mode !== 'nat' && !hasDaemon,
    ...(obstacle !== undefined && { obstacle }),
    ...(natObstacle !== undefined && { natObstacle }),
    ...(redirectObstacle !== undefined && { redirectObstacle }),
    isEnding: ending !== undefined,
    isResting: served.resting ?? false,
    ...(drainsUntil !== undefined && { drainsUntil }),
  }
}

/**
 * The ports of everybody else.
 * @param held what the daemon holds for them; none: there is no daemon
 * @param warn hears of a runtime that does not answer
 */
export async function listOthers(
  held: readonly HeldPort[],
  warn: (line: string) => void,
): Promise<ListedPort[]> {
  const listening = new ListeningIn()
  const ofDocker = dockerPorts().catch((thrown: unknown) => {
    if (!hasCode(thrown, 'missing')) warn(messageOf(thrown))
    return undefined
  })
  const [docker, names] = await Promise.all([ofDocker, namesById()])
  const byId = new Map(held.map(each => [each.id, each]))
  const named = (name: string, id: string) => names.get(id) ?? name
  return [
    ...attachedPorts(listEntries(), byId, named, listening),
    ...chainedPorts(listRecords('portmap'), named, listening),
    ...(docker === undefined
      ? held.flatMap(heldForDocker)
      : docker.map(each => portOfDocker(each, held, listening))),
  ]
}

/** What a container is called, by what its record calls it and its id. */
export type Named = (name: string, id: string) => string

export function attachedPorts(
  entries: readonly NamedEntry[],
  held: Map<string, HeldPort>,
  named: Named,
  listening: ListeningIn,
): ListedPort[] {
  return entries.flatMap(({ owner, entry: { state, attachment } }) => {
    const { containerId: id, network, netns, nat, natObstacle } = attachment
    const name = named(nameOfAttached(attachment), id)
    return attachment.ports.map(mapping => {
      const { obstacle, counters, redirected, redirectObstacle } =
        held.get(forwardingId(owner, mapping)) ?? {}
      const facts = {
        ...sidesOf(mapping),
        containers: [{ name, id, netns }],
        inside: false,
        ...(nat && { backend: nat.backend }),
        isHeld: counters !== undefined,
        isRedirected: redirected !== undefined,
        needsDaemon: false,
        ...(obstacle !== undefined && { obstacle }),
        ...present({ natObstacle, redirectObstacle }),
        isStarting: state === 'attaching',
        isEnding: state === 'detaching',
      }
      return listed('cni', owner, facts, mapping, { network, counters, redirected }, listening)
    })
  })
}

export function chainedPorts(
  records: readonly HostPortRecord[],
  named: Named,
  listening: ListeningIn,
): ListedPort[] {
  return records.flatMap(record => {
    const { containerId: id, network, netns, backend, intent, natObstacle } = record
    const owner = ownerTag(record)
    return intent.ports.map(port => {
      const mapping = { ...port, count: 1 }
      const facts = {
        ...sidesOf(mapping),
        containers: [{ name: named(shortName(id), id), id, netns }],
        inside: false,
        backend,
        isHeld: false,
        needsDaemon: false,
        ...(natObstacle !== undefined && { natObstacle }),
      }
      return listed('portmap', owner, facts, mapping, { network }, listening)
    })
  })
}

export function portOfDocker(
  port: DockerPort,
  held: readonly HeldPort[],
  listening: ListeningIn,
): ListedPort {
  const ours = held.filter(({ call }) => call !== undefined && isPartOf(call, port))
  const redirected = redirectedOf(ours)
  const redirectObstacle = ours.find(each => each.redirectObstacle !== undefined)?.redirectObstacle
  const obstacle = ours.find(each => each.obstacle !== undefined)?.obstacle
  const { id, name, netns, ...mapping } = port
  const facts = {
    ...sidesOf(mapping),
    containers: [{ name, id, netns }],
    inside: false,
    others: ['dockerd'],
    isHeld: ours.some(each => each.counters !== undefined),
    isRedirected: redirected !== undefined,
    needsDaemon: false,
    ...present({ obstacle, redirectObstacle }),
  }
  return listed('docker', shortName(id), facts, mapping, { counters: sumOf(ours), redirected }, listening)
}

/** Where dockerd does not say what they are for. */
function heldForDocker({ id, call, counters, redirected, obstacle }: HeldPort): ListedPort[] {
  if (call === undefined) return []
  const { containerIp: name, containerPort: port, ...host } = call
  return [
    {
      ...host,
      source: 'docker',
      id,
      count: 1,
      target: { port },
      containers: [{ name, id: name }],
      ...present({ counters, redirected }),
      by: [...(redirected ? ['redirect'] : []), ...(counters ? ['proxy'] : [])],
      state: obstacle === undefined ? 'serving' : 'waiting',
      ...(obstacle !== undefined && { why: obstacle }),
    },
  ]
}

const sidesOf = ({ protocol, count, containerPort }: PortMapping) => ({
  protocol,
  count,
  target: { port: containerPort },
})

type Facts = Omit<Parameters<typeof conditionOf>[0], 'containers'> & {
  containers: (Place & { id: string })[]
}

function listed(
  source: ListedPort['source'],
  id: string,
  facts: Facts,
  { hostIp, hostPort }: PortMapping,
  {
    network,
    counters,
    redirected,
  }: { network?: string; counters?: Counters | undefined; redirected?: Redirected | undefined },
  listening: ListeningIn,
): ListedPort {
  return {
    source,
    id,
    protocol: facts.protocol,
    ...(hostIp !== undefined && { hostIp }),
    hostPort,
    count: facts.count,
    target: facts.target,
    containers: facts.containers.map(each => ({ name: each.name, id: each.id })),
    ...present({ network, counters, redirected }),
    ...conditionOf(facts, listening),
  }
}

const isPartOf = (
  call: NonNullable<HeldPort['call']>,
  { protocol, hostIp, hostPort, count }: DockerPort,
): boolean =>
  call.protocol === protocol &&
  call.hostPort >= hostPort &&
  call.hostPort < hostPort + count &&
  (hostIp === undefined || hostIp === call.hostIp)

function sumOf(held: readonly HeldPort[]): Counters | undefined {
  const all = held.flatMap(({ counters }) => counters ?? [])
  const [first, ...others] = all
  if (first === undefined) return undefined
  const sum = { ...first }
  for (const each of others) for (const key of Object.keys(sum) as (keyof Counters)[]) sum[key] += each[key]
  return sum
}

function redirectedOf(held: readonly HeldPort[]): Redirected | undefined {
  const all = held.flatMap(({ redirected }) => redirected ?? [])
  const [first] = all
  return first && { ...first, connections: all.reduce((sum, { connections }) => sum + connections, 0) }
}
