/**
 * The packets that have to come through, and where rules see them on their way.
 *
 *     to a published port    prerouting (raw, mangle: as sent; filter: as led on) ─▶ forward ─▶ postrouting
 *     its answers, out, and answers to that: likewise
 *     to the proxy           prerouting ─▶ input
 *     from this host, on lo  output ─▶ postrouting ─▶ prerouting ─▶ input
 *
 * What a packet looks like depends on how far it has come: conntrack sees it at priority -200 of prerouting,
 * and its destination is translated at -100.
 */

import {
  bitsOf,
  type Cidr,
  cidrOf,
  type Family,
  familyOf,
  type Ip,
  parseIp,
} from '../model/address/address.ts'
import type { Protocol } from '../model/port-mapping.ts'
import { type End, type Interface, LOOPBACK, type Port, type Seen } from './packet.ts'
import type { BaseChain, Hook } from './rule.ts'

/** A packet's way: the hooks in order, and what it looks like there. */
export interface Journey {
  /** In words: `new connections to port 8080`. */
  what: string
  family: Family
  hooks: readonly Hook[]
  at: (chain: BaseChain) => Seen
}

/** A port of the host that leads to a container. */
export interface PublishedPort {
  family: Family
  protocol: Protocol
  /** Absent: any address of the host. */
  hostIp?: Ip
  hostPort: number
  container: Ip
  containerPort: number
  /** The network that the container is in. */
  network: Cidr
  bridge: Interface
}

/** A port that is listened on; the bridge is one that no client comes by. */
export type ProxiedPort = Pick<PublishedPort, 'family' | 'protocol' | 'hostIp' | 'hostPort' | 'bridge'>

/** Names without what a bridge is known by in the kernel. */
export type By<T> = Omit<T, 'bridge'> & { bridge: string }

/** The other side of it all: a client, or whom a container speaks to. */
export interface Peer {
  address: End
  port?: number
  /** The interface that leads there. */
  by: Port
  /** An address of the host on that interface. */
  hostIp?: Ip
}

/** struct nf_hook_ops, linux/netfilter_ipv4.h: NF_IP_PRI_CONNTRACK, NF_IP_PRI_NAT_DST. */
const CONNTRACK = -200
const TRANSLATED = -100

const isSeen = ({ hook, priority }: BaseChain): boolean => hook !== 'prerouting' || priority > CONNTRACK
const isTranslated = ({ hook, priority }: BaseChain): boolean =>
  hook !== 'prerouting' || priority > TRANSLATED

/** All that any journey passes. */
export const HOOKS: readonly Hook[] = ['prerouting', 'input', 'forward', 'output', 'postrouting']

const FORWARDED: readonly Hook[] = ['prerouting', 'forward', 'postrouting']

/** Interfaces as a hook knows them. */
const ports = (hook: Hook, input: Port, output: Port): Pick<Seen, 'input' | 'output'> => ({
  ...(hook !== 'postrouting' && { input }),
  ...((hook === 'forward' || hook === 'postrouting') && { output }),
})

const optional = (sourcePort: number | undefined, destinationPort: number | undefined) => ({
  ...(sourcePort !== undefined && { sourcePort }),
  ...(destinationPort !== undefined && { destinationPort }),
})

/** New connections to a published port. */
export function inward(port: PublishedPort, peer: Peer): Journey {
  const { family, protocol, container, containerPort, hostPort, bridge } = port
  const not = strange(port)
  const original = {
    destination: port.hostIp ?? peer.hostIp ?? ('anybody' as const),
    destinationPort: hostPort,
  }
  return {
    what: `what is sent to port ${hostPort}/${protocol}`,
    family,
    hooks: FORWARDED,
    at(chain) {
      const led = isTranslated(chain)
      return {
        family,
        protocol,
        source: peer.address,
        ...optional(peer.port, led ? containerPort : hostPort),
        destination: led ? container : original.destination,
        not,
        ...ports(chain.hook, peer.by, bridge),
        ...(isSeen(chain) && {
          connection: {
            state: 'new',
            translated: led ? 'destination' : 'nothing',
            reply: false,
            original,
          } as const,
        }),
        isFirst: true,
        toHost: !led,
      }
    },
  }
}

/** Answers from a published port. */
export function answering(port: PublishedPort, peer: Peer): Journey {
  const { family, protocol, container, containerPort, hostPort, bridge } = port
  const not = strange(port)
  return {
    what: `answers from port ${hostPort}/${protocol}`,
    family,
    hooks: FORWARDED,
    at: chain => ({
      family,
      protocol,
      source: container,
      ...optional(containerPort, peer.port),
      destination: peer.address,
      not,
      ...ports(chain.hook, bridge, peer.by),
      ...(isSeen(chain) && {
        connection: {
          state: 'established',
          translated: 'destination',
          reply: true,
          original: {
            destination: port.hostIp ?? peer.hostIp ?? 'anybody',
            destinationPort: hostPort,
          },
        } as const,
      }),
      isFirst: false,
      toHost: false,
    }),
  }
}

/** A container that speaks to the world. */
export interface Outgoing {
  family: Family
  container: Ip
  /** The network that the container is in. */
  network: Cidr
  bridge: Interface
}

/**
 * Where nobody is who comes by another interface than the bridge: in the container's network, unless the host has
 * an address of it.
 */
const strange = ({ container, network }: Pick<Outgoing, 'container' | 'network'>): Cidr[] => [
  cidrOf(container, bitsOf(familyOf(container))),
  network,
]

/** Its new connections. */
export const outward = (outgoing: Outgoing, peer: Peer): Journey =>
  beginning(`what ${outgoing.container} sends out`, outgoing, peer, strange(outgoing))

/** Its new connections to neighbours: what is bridged has the bridge for both its interfaces. */
export const bridged = (outgoing: Outgoing): Journey =>
  beginning(`what ${outgoing.container} sends to others of ${outgoing.network}`, outgoing, {
    address: 'anybody',
    by: outgoing.bridge,
  })

/** @param not where they do not go */
function beginning(
  what: string,
  { family, container, bridge }: Outgoing,
  { address, by, port }: Peer,
  not?: Cidr[],
): Journey {
  return {
    what,
    family,
    hooks: FORWARDED,
    at: chain => ({
      family,
      protocol: 'tcp',
      source: container,
      ...optional(port, undefined),
      destination: address,
      ...(not && { not }),
      ...ports(chain.hook, bridge, by),
      ...(isSeen(chain) && { connection: fresh(address) }),
      isFirst: true,
      toHost: false,
    }),
  }
}

/** Answers to what a container has sent; it had the host's address out there, or its own. */
export function returning(outgoing: Outgoing, peer: Peer): Journey {
  const { family, container, bridge } = outgoing
  const not = strange(outgoing)
  return {
    what: `answers to ${container}`,
    family,
    hooks: FORWARDED,
    at(chain) {
      const led = isTranslated(chain)
      return {
        family,
        protocol: 'tcp',
        source: peer.address,
        ...optional(undefined, peer.port),
        destination: led ? container : (peer.hostIp ?? 'anybody'),
        not,
        ...ports(chain.hook, peer.by, bridge),
        ...(isSeen(chain) && {
          connection: {
            state: 'established',
            translated: 'source',
            reply: true,
            original: { destination: peer.address },
          } as const,
        }),
        isFirst: false,
        toHost: !led,
      }
    },
  }
}

/** New connections to a port that a process of this host listens on. */
export function toProxy(
  { family, protocol, hostIp, hostPort }: Pick<PublishedPort, 'family' | 'protocol' | 'hostIp' | 'hostPort'>,
  peer: Peer,
): Journey {
  const destination = hostIp ?? peer.hostIp ?? 'anybody'
  return {
    what: `what is sent to port ${hostPort}/${protocol} of this host`,
    family,
    hooks: ['prerouting', 'input'],
    at: chain => ({
      family,
      protocol,
      source: peer.address,
      ...optional(peer.port, hostPort),
      destination,
      ...ports(chain.hook, peer.by, LOOPBACK),
      ...(isSeen(chain) && { connection: fresh(destination) }),
      isFirst: true,
      toHost: true,
    }),
  }
}

const LOCALHOST = { 4: parseIp('127.0.0.1'), 6: parseIp('::1') } as const

/** What some process of this host sends to a port of its loopback. */
export function onLoopback({
  family,
  protocol,
  hostIp = LOCALHOST[family],
  hostPort,
}: Pick<PublishedPort, 'family' | 'protocol' | 'hostIp' | 'hostPort'>): Journey {
  const leaves = (hook: Hook) => hook === 'output' || hook === 'postrouting'
  return {
    what: `what this host sends to ${hostIp} port ${hostPort}/${protocol}`,
    family,
    hooks: ['output', 'postrouting', 'prerouting', 'input'],
    at: chain => ({
      family,
      protocol,
      source: LOCALHOST[family],
      ...optional(undefined, hostPort),
      destination: hostIp,
      ...(leaves(chain.hook) ? { output: LOOPBACK, isLocal: true } : { input: LOOPBACK }),
      ...(isSeen(chain) && { connection: fresh(hostIp) }),
      isFirst: true,
      toHost: true,
    }),
  }
}

const fresh = (destination: End) =>
  ({ state: 'new', translated: 'nothing', reply: false, original: { destination } }) as const
