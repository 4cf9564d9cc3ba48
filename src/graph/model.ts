/** A host as nodes and edges: plain values, which also are what `tsnet graph --json` prints. */

import type { Cidr, HostIp, Ip } from '../model/address/address.ts'
import type { Protocol } from '../model/port-mapping.ts'

/** This host itself, where something on it asks a container, or is asked. */
export interface HostNode {
  kind: 'host'
  id: 'host'
  name: string
}

/** An interface by which others are reached. */
export interface UplinkNode {
  kind: 'uplink'
  id: string
  name: string
  addresses: readonly Cidr[]
}

export interface NetworkNode {
  kind: 'network'
  id: string
  name: string
  bridge?: string
  subnets: readonly Cidr[]
}

export interface ContainerNode {
  kind: 'container'
  id: string
  /** As its runtime calls it. */
  name: string
  containerId: string
}

/** A published port, or a range of them. */
export interface PortNode {
  kind: 'port'
  id: string
  protocol: Protocol
  /** Absent: every address. */
  hostIp?: HostIp
  hostPort: number
  count: number
  state: string
  /** Who leads it to its containers. */
  by: string[]
  /** What the proxy has counted, where it serves it. */
  bytesIn?: number
  bytesOut?: number
}

/** Somebody outside of this host. */
export interface PeerNode {
  kind: 'peer'
  id: string
  address: Ip
}

/** So many nodes of a kind that are not shown one by one: see condense.ts. */
export interface OthersNode {
  kind: 'others'
  id: string
  of: 'containers' | 'peers' | 'ports'
  count: number
}

export type Node = HostNode | UplinkNode | NetworkNode | ContainerNode | PortNode | PeerNode | OthersNode

/** A container is on a network. */
export interface AttachedEdge {
  kind: 'attached'
  from: string
  to: string
  ifname?: string
  addresses: readonly Cidr[]
  state: string
}

/** A port leads to a container. */
export interface PublishedEdge {
  kind: 'published'
  from: string
  to: string
  /** Absent: a socket of its file system. */
  containerPort?: number
  /** Of those that live now, whoever leads them. */
  connections: number
  /** Of what rules lead; absent where the kernel does not count. */
  bytes?: number
}

/** Somebody outside is reached by an uplink. */
export interface ReachedEdge {
  kind: 'reached'
  from: string
  to: string
}

/** One asks another; both ends answer. */
export interface TalksEdge {
  kind: 'talks'
  from: string
  to: string
  /** `tcp`, `udp`, `sctp`, `icmp`, or a number; empty where several are told as one. */
  protocol: string
  /** As it was asked for; absent where the protocol has none, and where several are told as one. */
  port?: number
  connections: number
  /** Both ways, as far as the kernel counts. */
  bytes?: number
}

export type Edge = AttachedEdge | PublishedEdge | ReachedEdge | TalksEdge

export interface Graph {
  nodes: Node[]
  edges: Edge[]
}

/** What is known of a host, as it is put together. */
export interface Facts {
  /** The host's name. */
  host: string
  uplinks: Omit<UplinkNode, 'kind' | 'id'>[]
  /** Every address of the host. */
  own: ReadonlySet<Ip>
  networks: Omit<NetworkNode, 'kind' | 'id'>[]
  attached: {
    containerId: string
    name: string
    network: string
    ifname: string
    bridge?: string
    addresses: readonly Cidr[]
    state: string
  }[]
  ports: PortFacts[]
  connections: readonly ConnectionFacts[]
}

export interface PortFacts {
  protocol: Protocol
  hostIp?: HostIp
  hostPort: number
  count: number
  target: { port: number } | { socket: string }
  state: string
  by: string[]
  containers: { name: string; id: string; asked?: string; addresses?: readonly Cidr[] }[]
  counters?: { active: number; bytesIn: number; bytesOut: number }
}

/** Of nat/connections.ts, or of a container's own sockets. */
export interface ConnectionFacts {
  protocol: number
  from: Ip
  asked: Ip
  answers: Ip
  port?: number
  answeringPort?: number
  bytes?: number
}
