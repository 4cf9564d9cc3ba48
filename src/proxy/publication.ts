/**
 * What is published, as a plain value: ports of this host, and where their clients are taken to.
 */

import type { Cidr, HostIp, Ip } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { shown } from '../model/json/shown.ts'
import type { NamespaceId } from '../model/network.ts'
import { describeHostPorts, type Protocol, portRange } from '../model/port-mapping.ts'

export interface Publication {
  /** By which it is withdrawn; any text. */
  id: string
  protocol: Protocol
  /** Addresses of this host. Absent: every address of both families, by one socket a port. */
  hostIps?: readonly HostIp[]
  /** First host port; 0 lets the kernel choose a free one (for a single port). */
  hostPort: number
  /** How many consecutive ports; the n-th leads to the n-th port of each target. */
  count: number
  /** One is chosen for each client: the one with the fewest. None: clients are held, or refused. */
  targets: readonly Target[]
  options?: PublicationOptions
  /** The network namespace to listen in, whose addresses `hostIps` are then; absent: this host's. */
  within?: { path: string } & NamespaceId
}

/** Where a client is taken to. */
export type Target = IpTarget | InsideTarget | UnixTarget

export interface IpTarget {
  ip: Ip
  /** First port. */
  port: number
  /** Path of a network namespace to dial from. Absent: this host. */
  netns?: string
}

/**
 * A service that is dialled from inside its network namespace, for what is reached from nowhere else: the
 * container's own loopback, a container without a network. inside.ts says which address it is dialled at.
 */
export interface InsideTarget {
  /** Path of the namespace. */
  netns: string
  /** The container's own addresses but loopback's, the preferred one first. */
  own: readonly Ip[]
  /** First port. */
  port: number
}

/** A stream socket in a container's file system. */
export interface UnixTarget {
  /** The container's root, such as `/proc/PID/root`. Links in it are followed, but never lead outside. */
  root: string
  /** As the container sees it. */
  path: string
}

/** Times in ms; what is absent has the value of `defaultOptions`. */
export interface PublicationOptions {
  /** Until a target has answered. */
  connectTimeoutMs?: number
  /** How long a client is held while no target listens yet. 0: refused at once. */
  waitMs?: number
  /** At the same time, on each port. */
  maxConnections?: number
  /** A connection without a byte for so long is reset. 0: never. */
  idleMs?: number
  /** The same, when one side has ended its stream. 0: never. */
  halfClosedIdleMs?: number
  /** Until a silent peer is asked whether it is alive, and between such questions. 0: never. */
  keepaliveMs?: number
  /** Tells the target who the client is (haproxy's PROXY protocol); TCP only. */
  proxyProtocol?: 1 | 2
  /** Only these clients are served. Empty: all that are not denied. */
  allow?: readonly Cidr[]
  /** These clients are not served, even if allowed. */
  deny?: readonly Cidr[]
  /** A UDP session without a datagram for so long, either way, ends. */
  sessionIdleMs?: number
  /** UDP sessions of each port; the one that is idle the most makes room for a new one (datagram/room.ts). */
  maxSessions?: number
  /** The same of each client address on a port. */
  maxSessionsPerSource?: number
}

export type Options = Required<Omit<PublicationOptions, 'proxyProtocol'>> & { proxyProtocol: 0 | 1 | 2 }

export const defaultOptions: Options = {
  connectTimeoutMs: 10_000,
  waitMs: 0,
  maxConnections: Number.MAX_SAFE_INTEGER,
  idleMs: 0,
  halfClosedIdleMs: 3_600_000,
  keepaliveMs: 15_000,
  proxyProtocol: 0,
  allow: [],
  deny: [],
  sessionIdleMs: 90_000,
  maxSessions: 4096,
  maxSessionsPerSource: 2048,
}

/** `8080-8089/tcp`, as messages name it. */
export const describePorts = ({ protocol, hostPort, count }: Publication): string =>
  describeHostPorts({ protocol, hostPort, count })

/**
 * Refuses what cannot be served.
 * @throws TsnetError `invalid-config`, `unsupported-field`
 */
export function checkPublication(publication: Publication): void {
  const { protocol, hostPort, count, options = {} } = publication
  const what = `publication ${shown(publication.id)}`
  const invalid = (problem: string) => new TsnetError('invalid-config', `${what}: ${problem}`)
  if (!Number.isInteger(count) || count < 1) throw invalid(`a count of ${count} ports`)
  if (hostPort === 0 ? count > 1 : !isPortRange(hostPort, count)) {
    throw invalid(`host ports ${portRange(hostPort, count)} are not within 1–65535`)
  }
  if (publication.hostIps?.length === 0) throw invalid('an empty list of host addresses')
  for (const [name, value] of Object.entries(options)) {
    if (typeof value === 'number' && !(value >= 0)) throw invalid(`${name} ${value} is negative`)
  }
  if (options.proxyProtocol !== undefined && protocol !== 'tcp') {
    throw new TsnetError('unsupported-field', `${what}: proxyProtocol is for tcp, not ${protocol}`)
  }
  checkTargets(publication, publication.targets)
}

/** @throws TsnetError `invalid-config`, `unsupported-field` */
export function checkTargets({ id, protocol, count }: Publication, targets: readonly Target[]): void {
  const what = `publication ${shown(id)}`
  for (const target of targets) {
    if ('port' in target) {
      if (isPortRange(target.port, count)) continue
      const ports = portRange(target.port, count)
      throw new TsnetError('invalid-config', `${what}: target ports ${ports} are not within 1–65535`)
    }
    if (protocol !== 'tcp' || count !== 1) {
      throw new TsnetError('unsupported-field', `${what}: a unix socket can serve one tcp port only`)
    }
  }
}

const isPortRange = (first: number, count: number): boolean =>
  Number.isInteger(first) && first >= 1 && first + count - 1 <= 65_535
