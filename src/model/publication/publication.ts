/**
 * A published port of a running container: what was asked for, and what stands for it.
 *
 * A publication is one range of host ports of one protocol. It leads to a port (or a socket path) of one
 * container, or of several that share the load, or of all that have the name of a service. It survives the container's restart under its name and
 * ends with the container, by its time, or by `unpublish`. One that is kept outlives container and host: it rests,
 * and is served again when its container is back. In reverse it is a port of the host's loopback that appears on the
 * container's.
 */

import type { Cidr, HostIp, Ip } from '../address/address.ts'
import type { NamespaceId, NatBackend, NatIntent } from '../network.ts'
import type { Protocol } from '../port-mapping.ts'
import { LONG_ID, shortName } from './container-name.ts'
import type { PortSpec } from './port-spec.ts'

/** Who runs containers here. */
export type Runtime =
  | 'docker'
  | 'podman'
  | 'containerd'
  | 'runc'
  | 'crun'
  | 'lxc'
  | 'cri'
  | 'cni'
  | 'pid'
  | 'netns'

/** A running container, as its runtime describes it. */
export interface Container {
  runtime: Runtime
  /** Whole id; of a pid the number, of a namespace its path. */
  id: string
  /** As people call it; the id where it has no name. */
  name: string
  /** As whoever published it called it. */
  asked?: string
  /** How to find it again, also after a restart: `docker:web`. */
  reference: string
  /** Its first process; absent where only a namespace is known. */
  pid?: number
  netns: { path: string } & NamespaceId
  /** Addresses that the host can reach over the bridge, with their subnets' prefix length. */
  addresses: Cidr[]
  /** The bridge of the host that its first address lies behind. */
  bridge?: string
  /** The host's end of that address's link, which is a port of the bridge. */
  bridgePort?: string
  /** That port is isolated from others that are. */
  isolated?: true
  /** Its addresses on other networks. */
  otherAddresses?: Ip[]
  /** An address in its namespace that is not loopback's, whether the host can reach it or not; IPv4 before IPv6. */
  ownAddress?: Ip
}

/** Containers of one name, wherever they run. */
export interface ServiceName {
  /** In lower case. */
  name: string
  /** Only those on this network; absent: on any. */
  network?: string
}

/** A container of another host. */
export interface AwayMember {
  /** As its host calls it. */
  name: string
  host: string
  network: string
  addresses: Ip[]
}

/** What a service leads to, beside the containers of this host. */
export interface Service extends ServiceName {
  away: AwayMember[]
  /** How many are left out since their host takes no new connections. */
  drained: number
}

/**
 * `auto`: the kernel for traffic from outside and the proxy for loopback. `redirect`: as `auto`, and clients of loopback
 * are led past the proxy as well.
 */
export type PublishMode = 'auto' | 'nat' | 'proxy' | 'redirect'

/** `auto`: over the bridge where there is one, else from inside the container's namespace. */
export type PublishVia = 'auto' | 'bridge' | 'netns'

export interface PublishOptions {
  mode: PublishMode
  via: PublishVia
  /** Tell the container the client's address in front of the stream (PROXY protocol). */
  proxyProtocol?: 1 | 2
  /** Only these clients; empty: all. */
  allow: Cidr[]
  deny: Cidr[]
  maxConnections?: number
  /** UDP sessions of each port, and how long one is kept without a datagram; absent: as the daemon is set. */
  maxSessions?: number
  sessionIdleMs?: number
  /** Hold a connection this long until the container listens. */
  waitMs: number
  /** When it ends: this long connections may finish. */
  drainMs: number
  /** Milliseconds since the epoch, at which it ends by itself. */
  expiresAt?: number
  /** Neither the end of its container nor a reboot ends it. */
  keep?: true
  /** The other way: the host's port is dialled, and the target's is listened on inside of the one container. */
  reverse?: true
}

export interface PublishRequest extends PublishOptions {
  /** None: every TCP port that the containers listen on. */
  specs: PortSpec[]
  /** As they were written, one for each of `specs`. */
  written: string[]
  /** References of one container, or of several that share the load; none where it is for a service. */
  containers: string[]
  service?: ServiceName
  /** Take ports over that another publication of tsnet has. */
  replace: boolean
  /**
   * It was asked for before, then (milliseconds since the epoch), of a daemon that died: what is published as this asks for it
   * since then was published for it.
   */
  since?: number
}

export interface Publication extends PublishOptions {
  /** 16 hex digits; also the owner tag of its rules. */
  id: string
  protocol: Protocol
  /** Absent: all addresses of the host. `0.0.0.0` and `::`: all of their family. */
  hostIp?: HostIp
  hostPort: number
  count: number
  target: { port: number } | { socket: string }
  /** Of a service: those of this host. */
  containers: Container[]
  service?: Service
  /** The ports as they were written; absent where nobody wrote any. */
  asked?: string
  /** ISO 8601. */
  createdAt: string
  /** The kernel rules, where it has some. */
  nat?: {
    backend: NatBackend
    ports: NatIntent
    /** One for each address that ports lead to; publications of a container share them. */
    guests: NatIntent[]
    /** The port of the bridge that is to be in hairpin mode. */
    bridgePort?: string
  }
  /** Why the kernel leads nothing, where it could but for somebody else; a sentence. */
  natObstacle?: string
  /** It is not whole yet. Where nobody is making it, its maker died, and it is taken down by whoever comes next. */
  beginning?: true
  /** It is being taken down, for this reason; what is left of that is done by whoever comes next. */
  ending?: PublicationEnd
  /** Until then connections may finish meanwhile; milliseconds since the epoch. */
  drainsUntil?: number
}

/** Why a publication ends: somebody said so, its time was over, or its containers are gone. */
export type PublicationEnd = 'unpublished' | 'expired' | 'ended'

/**
 * What happens to a publication. `waiting`: its container does not run, or something is in its way; `serving`:
 * nothing is any more. `obstructed`: rules of others drop what the kernel would lead there; `cleared`: no more.
 */
export type PublicationEvent =
  | 'published'
  | 'replaced'
  | 'moved'
  | 'waiting'
  | 'serving'
  | 'obstructed'
  | 'cleared'
  | PublicationEnd

/** A container as whoever published it knows it. */
export const calledOf = ({ asked, name }: Pick<Container, 'asked' | 'name'>): string =>
  shortName(asked === undefined || LONG_ID.test(asked) ? name : asked)

/** All of them. */
export const calledAll = (containers: readonly Pick<Container, 'asked' | 'name'>[]): string =>
  containers.map(calledOf).join(', ')

/** Of one in reverse, the port on which it appears in the container. */
export const reversedTo = ({
  reverse,
  target,
}: Pick<Publication, 'reverse' | 'target'>): number | undefined =>
  reverse && 'port' in target ? target.port : undefined

/** To whom a publication leads, as whoever published it said it. */
export const calledTarget = ({ containers, service }: Pick<Publication, 'containers' | 'service'>): string =>
  service === undefined ? calledAll(containers) : `service ${service.name}`
