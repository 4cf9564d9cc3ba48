/** The facts of a host become its graph. Pure, and in an order that depends on nothing but the facts. */

import {
  bitsOf,
  type Cidr,
  cidrOf,
  contains,
  familyOf,
  type Ip,
  ipOf,
  isLoopback,
} from '../model/address/address.ts'
import { present } from '../model/present.ts'
import { AddressBook } from './addresses.ts'
import { containerId, networkId, peerId, portId, uplinkId } from './ids.ts'
import type {
  AttachedEdge,
  ContainerNode,
  Facts,
  Graph,
  NetworkNode,
  Node,
  PeerNode,
  PortFacts,
  PortNode,
  ReachedEdge,
  UplinkNode,
} from './model.ts'
import { talksOf } from './talks.ts'

export function buildGraph(facts: Facts): Graph {
  const book = new AddressBook(facts)
  const ports = facts.ports.map(port => ({ node: portNode(port), facts: port }))
  const { published, talks, peers } = talksOf(facts, book, ports)
  const uplinks = facts.uplinks.map(
    (uplink): UplinkNode => ({ kind: 'uplink', id: uplinkId(uplink.name), ...uplink }),
  )
  const nodes: Node[] = [
    { kind: 'host', id: 'host', name: facts.host },
    ...uplinks,
    ...networksOf(facts),
    ...containersOf(facts, book),
    ...unique(ports.map(({ node }) => node)),
    ...peers.map((address): PeerNode => ({ kind: 'peer', id: peerId(address), address })),
  ]
  const reached = peers.flatMap((peer): ReachedEdge[] => {
    const uplink = uplinkTo(peer, uplinks)
    return uplink === undefined ? [] : [{ kind: 'reached', from: peerId(peer), to: uplink.id }]
  })
  return { nodes, edges: [...attachedOf(facts, book), ...published, ...reached, ...talks] }
}

const portNode = (port: PortFacts): PortNode =>
  present({
    kind: 'port',
    id: portId(port),
    protocol: port.protocol,
    hostIp: port.hostIp,
    hostPort: port.hostPort,
    count: port.count,
    state: port.state,
    by: port.by,
    bytesIn: port.counters?.bytesIn,
    bytesOut: port.counters?.bytesOut,
  })

/** Of the same id the first: containers in a line for a port each have it in their records. */
const unique = <T extends { id: string }>(nodes: readonly T[]): T[] =>
  [...new Map(nodes.toReversed().map(node => [node.id, node])).values()].reverse()

/** Those that have a list, and then those of which only containers tell. */
function networksOf({ networks, attached }: Facts): NetworkNode[] {
  const known = new Map(networks.map(network => [network.name, network]))
  for (const { network: name, bridge } of attached) {
    if (!known.has(name)) known.set(name, present({ name, bridge, subnets: [] }))
  }
  return [...known.values()].map(network => ({ kind: 'network', id: networkId(network.name), ...network }))
}

/** Those on networks, then those of which only ports tell, and then those of which there is an address alone. */
function containersOf({ attached, ports }: Facts, book: AddressBook): ContainerNode[] {
  const known = new Map<string, ContainerNode>()
  const add = (id: string, name: string) => {
    if (!known.has(id)) known.set(id, { kind: 'container', id: containerId(id), name, containerId: id })
  }
  for (const { containerId, name } of attached) add(containerId, name)
  for (const { containers } of ports) for (const each of containers) add(book.containerIdOf(each), each.name)
  for (const ip of [...book.strangers.keys()].sort()) add(ip, ip)
  return [...known.values()]
}

function attachedOf({ attached }: Facts, { strangers }: AddressBook): AttachedEdge[] {
  const known = attached.map(
    ({ containerId: id, network, ifname, addresses, state }): AttachedEdge => ({
      kind: 'attached',
      from: containerId(id),
      to: networkId(network),
      ifname,
      addresses: [...addresses],
      state,
    }),
  )
  const others = [...strangers].sort().map(
    ([ip, network]): AttachedEdge => ({
      kind: 'attached',
      from: containerId(ip),
      to: networkId(network),
      addresses: [cidrOf(ip, bitsOf(familyOf(ip)))],
      state: 'unknown',
    }),
  )
  return [...known, ...others]
}

/** The uplink with a subnet that has the address, else the first of its family: those of default routes come first. */
function uplinkTo(peer: Ip, uplinks: readonly UplinkNode[]): UplinkNode | undefined {
  const isNear = (cidr: Cidr) => familyOf(cidr) === familyOf(peer) && contains(cidr, peer)
  const isOfFamily = (cidr: Cidr) => familyOf(cidr) === familyOf(peer) && !isLoopback(ipOf(cidr))
  return (
    uplinks.find(({ addresses }) => addresses.some(isNear)) ??
    uplinks.find(({ addresses }) => addresses.some(isOfFamily)) ??
    uplinks[0]
  )
}
