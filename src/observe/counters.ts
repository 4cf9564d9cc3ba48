/** What is counted of a port and of a container, as plain values. */

import type { HostIp, Ip } from '../model/address/address.ts'
import type { Protocol } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { calledOf, reversedTo } from '../model/publication/publication.ts'
import type { Counters } from '../proxy/proxy.ts'
import type { HeldPort } from '../publish/attachment-ports.ts'
import type { Redirected } from '../publish/front/front.ts'
import type { Served } from '../publish/publish.ts'
import type { Seen } from './seen.ts'

/** `In` is towards the container. */
export interface Traffic {
  bytesIn: number
  bytesOut: number
  packetsIn: number
  packetsOut: number
  /** Of a port: connections that no target took, datagrams that could not be sent on. Of a container: packets. */
  dropped: number
}

/** Of the proxy. Packets are datagrams: of streams there are none. */
export interface Counts extends Traffic {
  /** Begun, those included that the kernel has led past the proxy. */
  connections: number
  /** Those there are now. */
  active: number
  /** Turned away: limits, sources that are not allowed, no descriptor left. */
  refused: number
  /** Of `refused`, those of sources that are not allowed. */
  denied: number
  /** UDP clients that made room for others. */
  evicted: number
}

export interface PortCounts extends Counts {
  /** Of the publication; `<owner>:…` of an attachment's, `docker-proxy <pid>` of dockerd's. */
  id: string
  source: 'publish' | 'cni' | 'docker'
  protocol: Protocol
  /** Absent: every address. */
  hostIp?: HostIp
  hostPort: number
  count: number
  /** Whom it leads to: ids and names as their runtime has them. Of dockerd's, its address alone. */
  containers: { id: string; name: string }[]
  /** Of an attachment. */
  network?: string
  /** It goes the other way: the port on which it appears in the container. */
  reverse?: number
  /** Of `connections`, those that the kernel has led past the proxy: their bytes are counted nowhere. */
  redirected?: number
}

/** One attachment, by the host's end of its link. */
export interface ContainerCounts extends Traffic {
  owner: string
  id: string
  name: string
  network: string
  ifname: string
  addresses: readonly Ip[]
  /** Packets that its list has dropped; absent where it may reach everybody. */
  denied?: number
}

/** Of everything that the proxy holds. */
export function portCounts(
  published: readonly Served[],
  held: readonly HeldPort[],
  attached: readonly Seen[],
): PortCounts[] {
  const byOwner = new Map(attached.map(seen => [seen.owner, seen]))
  return [
    ...published.map(ofPublication),
    ...held.flatMap(each => ofAttachment(each, byOwner) ?? ofDocker(each) ?? []),
  ]
}

function ofPublication(served: Served): PortCounts {
  const { id, protocol, hostIp, hostPort, count, containers, counters, redirected } = served
  return {
    id,
    source: 'publish',
    protocol,
    ...present({ hostIp }),
    hostPort,
    count,
    containers: containers.map(each => ({ id: each.id, name: calledOf(each) })),
    ...present({ reverse: reversedTo(served) }),
    ...countsOf(counters, redirected),
  }
}

function ofAttachment(held: HeldPort, byOwner: ReadonlyMap<string, Seen>): PortCounts | undefined {
  const { id, of, counters, redirected } = held
  const seen = of && byOwner.get(of.owner)
  if (of === undefined || seen === undefined) return undefined
  const { owner: _, ...port } = of
  return {
    id,
    source: 'cni',
    ...port,
    containers: [{ id: seen.containerId, name: seen.name }],
    network: seen.network,
    ...countsOf(counters, redirected),
  }
}

function ofDocker({ id, call, counters, redirected }: HeldPort): PortCounts | undefined {
  if (call === undefined) return undefined
  const { protocol, hostIp, hostPort, containerIp } = call
  return {
    id,
    source: 'docker',
    protocol,
    hostIp,
    hostPort,
    count: 1,
    containers: [{ id: containerIp, name: containerIp }],
    ...countsOf(counters, redirected),
  }
}

/** What waits has counted nothing. */
const countsOf = (counters: Counters | undefined, redirected: Redirected | undefined) => ({
  connections: (counters?.accepted ?? 0) + (redirected?.connections ?? 0),
  active: counters?.active ?? 0,
  refused: counters?.refused ?? 0,
  denied: counters?.denied ?? 0,
  dropped: counters?.failed ?? 0,
  evicted: counters?.evicted ?? 0,
  bytesIn: counters?.bytesIn ?? 0,
  bytesOut: counters?.bytesOut ?? 0,
  packetsIn: counters?.datagramsIn ?? 0,
  packetsOut: counters?.datagramsOut ?? 0,
  ...(redirected && { redirected: redirected.connections }),
})

const NOTHING: Traffic = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0, dropped: 0 }

/**
 * @param traffic by owner; of whom there is none, the link is gone
 * @param denied by owner
 */
export const containerCounts = (
  attached: readonly Seen[],
  traffic: ReadonlyMap<string, Traffic>,
  denied: ReadonlyMap<string, number>,
): ContainerCounts[] =>
  attached.map(({ owner, containerId, name, network, ifname, addresses }) => ({
    owner,
    id: containerId,
    name,
    network,
    ifname,
    addresses,
    ...(traffic.get(owner) ?? NOTHING),
    ...present({ denied: denied.get(owner) }),
  }))
