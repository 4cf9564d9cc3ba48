/**
 * What the plugins of a chain that make no link of their own are asked for, as plain values: ports that
 * lead to a container (portmap), and packets let through for it (firewall).
 */

import type { Cidr, Ip } from './address/address.ts'
import type { AttachmentKey, NamespaceId, NatBackend } from './network.ts'
import type { Protocol } from './port-mapping.ts'
import { sha512 } from './sha512.ts'

/** One entry of portMappings. */
export interface HostPort {
  protocol: Protocol
  /** Absent: every address of the host. `0.0.0.0` and `::`: every one of their family. */
  hostIp?: Ip
  hostPort: number
  containerPort: number
}

/** The ports of a container, as the portmap plugin is told of them. */
export interface HostPortIntent {
  network: string
  containerId: string
  /** Of the container, at most one a family, with the length of its subnet. */
  addresses: Cidr[]
  /** In the order in which they came. */
  ports: HostPort[]
  /** What comes from the container's subnet and from 127.0.0.1 gets the host's address. */
  snat: boolean
  /** What comes from anywhere does. */
  masqAll: boolean
  /** How iptables marks what is to get it: by a bit of our own chain, or by somebody else's chain. */
  mark: { bit: number } | { chain: string }
  /** What a packet must match beside, as words of the backend. */
  conditions: { 4: string[]; 6: string[] }
}

export const ingressPolicies = ['open', 'same-bridge', 'isolated'] as const
export type IngressPolicy = (typeof ingressPolicies)[number]

/** What is let through for a container, as the firewall plugin is told of it. */
export interface FirewallIntent {
  /** All of the result it was given, with the lengths of their subnets. */
  addresses: Cidr[]
  /** The chain that an administrator fills. */
  adminChain: string
  ingressPolicy: IngressPolicy
  /** The first interface of the result, which such a policy is about. */
  bridge?: string
}

/** Who carries out what the firewall plugin is asked for. */
export type FirewallBackend = 'iptables' | 'firewalld'

/** What was done for one attachment, from which it can be taken back with nothing else. */
interface ChainedRecord extends AttachmentKey {
  netns: { path: string } & NamespaceId
  /** The kernel's boot_id when it was made. */
  bootId: string
  /** ISO 8601. */
  createdAt: string
}

export interface HostPortRecord extends ChainedRecord {
  backend: NatBackend
  intent: HostPortIntent
  /** The port of a bridge that is in hairpin mode for it. */
  bridgePort?: string
  /** The interface of the host whose reverse path filtering was made loose for it. */
  returnPath?: string
  /** Which rule of others drops what is sent to the ports; a sentence. */
  natObstacle?: string
}

export interface FirewallRecord extends ChainedRecord {
  backend: FirewallBackend
  intent: FirewallIntent
  /** With firewalld. */
  zone: string
}

/** The longest name of a chain, linux/netfilter/x_tables.h. */
const CHAIN_NAME_MAX = 28

/** A chain's name as the reference plugins make it: `CNI-DN-` and as much of a hash as there is room for. */
export const chainNameOf = (prefix: string, network: string, containerId: string): string =>
  (prefix + sha512(network + containerId)).slice(0, CHAIN_NAME_MAX)
