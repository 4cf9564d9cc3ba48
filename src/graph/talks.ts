/**
 * Who talks to whom, out of single connections.
 *
 *     client ──talks──▶ port ──published──▶ container        by rules: one connection, which the kernel tells whole
 *     client ──talks──▶ port ──published──▶ container        by the proxy: two, of which the second is the proxy's own, and
 *                                                            is known by its counter
 *     container ──talks──▶ container, peer, host             without a port of this host in between
 *
 * What has nothing to do with a container or a published port is left out.
 */

import { type Ip, isForMany } from '../model/address/address.ts'
import { coversAddress, type Protocol, protocolNumbers } from '../model/port-mapping.ts'
import type { AddressBook, Whose } from './addresses.ts'
import { containerId, peerId } from './ids.ts'
import type { ConnectionFacts, Facts, PortFacts, PortNode, PublishedEdge, TalksEdge } from './model.ts'

interface Port {
  node: PortNode
  facts: PortFacts
}

interface Talks {
  published: PublishedEdge[]
  talks: TalksEdge[]
  /** Whoever of them is outside. */
  peers: Ip[]
}

export function talksOf(facts: Facts, book: AddressBook, ports: readonly Port[]): Talks {
  const published = publishedOf(ports, book)
  const find = portFinder(ports)
  const talks = new Map<string, TalksEdge>()
  const peers = new Set<Ip>()
  const asked = facts.connections.map(connection => ({
    connection,
    port: book.isOwn(connection.asked) ? find(connection) : undefined,
  }))
  for (const { connection, port } of asked) {
    const [container, ...others] = port?.facts.containers ?? []
    if (container !== undefined && others.length === 0 && !book.isOwn(connection.answers))
      book.learn(connection.answers, book.containerIdOf(container))
  }
  const idOf = (ip: Ip, whose: Whose): string => {
    if (whose.kind === 'container') return containerId(whose.containerId)
    if (whose.kind === 'host') return 'host'
    peers.add(ip)
    return peerId(ip)
  }
  for (const { connection, port } of asked) {
    if (isForMany(connection.asked)) continue
    const [from, answers] = [book.whose(connection.from), book.whose(connection.answers)]
    if (port === undefined && from.kind !== 'container' && answers.kind !== 'container') continue
    if (port !== undefined && answers.kind === 'container')
      count(published.get(edgeKey(port.node.id, containerId(answers.containerId))), connection)
    const fromId = idOf(connection.from, from)
    const toId = port?.node.id ?? idOf(connection.answers, answers)
    const number = port === undefined ? (connection.answeringPort ?? connection.port) : connection.port
    count(edgeFor(talks, fromId, toId, connection.protocol, number), connection)
  }
  withoutProxy(talks, ports, book)
  return { published: [...published.values()], talks: sorted([...talks.values()]), peers: [...peers].sort() }
}

const edgeKey = (from: string, to: string): string => `${from} ${to}`

/** Ports lead to containers whether somebody asks or not. */
function publishedOf(ports: readonly Port[], book: AddressBook): Map<string, PublishedEdge> {
  const edges = new Map<string, PublishedEdge>()
  for (const { node, facts } of ports) {
    const { containers, target, counters } = facts
    containers.forEach((container, index) => {
      const to = containerId(book.containerIdOf(container))
      edges.set(edgeKey(node.id, to), {
        kind: 'published',
        from: node.id,
        to,
        ...('port' in target && { containerPort: target.port }),
        // The proxy counts by port, and does not say to whom of several.
        connections: index === 0 ? (counters?.active ?? 0) : 0,
      })
    })
  }
  return edges
}

function count(edge: { connections: number; bytes?: number } | undefined, { bytes }: ConnectionFacts): void {
  if (edge === undefined) return
  edge.connections++
  if (bytes !== undefined) edge.bytes = (edge.bytes ?? 0) + bytes
}

function edgeFor(
  talks: Map<string, TalksEdge>,
  from: string,
  to: string,
  number: number,
  port: number | undefined,
): TalksEdge {
  const key = `${from} ${to} ${number} ${port}`
  const known = talks.get(key)
  if (known !== undefined) return known
  const edge: TalksEdge = {
    kind: 'talks',
    from,
    to,
    protocol: protocolOf(number),
    ...(port !== undefined && { port }),
    connections: 0,
  }
  talks.set(key, edge)
  return edge
}

/** By protocol and number, the port that was asked for at this address. */
function portFinder(ports: readonly Port[]): (connection: ConnectionFacts) => Port | undefined {
  const byNumber = new Map<string, Port[]>()
  for (const port of ports) {
    const { protocol, hostPort, count } = port.facts
    for (let number = hostPort; number < hostPort + count; number++) {
      const key = `${protocolNumbers[protocol]} ${number}`
      const there = byNumber.get(key)
      if (there === undefined) byNumber.set(key, [port])
      else there.push(port)
    }
  }
  return ({ protocol, port, asked }) =>
    byNumber
      .get(`${protocol} ${port}`)
      ?.find(({ facts: { hostIp } }) => coversAddress(hostIp?.split('%')[0] as Ip | undefined, asked))
}

/** What the proxy itself has begun stands for connections that are told already. */
function withoutProxy(talks: Map<string, TalksEdge>, ports: readonly Port[], book: AddressBook): void {
  for (const { facts } of ports) {
    let { active = 0 } = facts.counters ?? {}
    if (!('port' in facts.target)) continue
    for (const container of facts.containers) {
      for (let offset = 0; offset < facts.count && active > 0; offset++) {
        const to = containerId(book.containerIdOf(container))
        const key = `host ${to} ${protocolNumbers[facts.protocol]} ${facts.target.port + offset}`
        const edge = talks.get(key)
        if (edge === undefined) continue
        const own = Math.min(active, edge.connections)
        active -= own
        edge.connections -= own
        if (edge.connections === 0) talks.delete(key)
      }
    }
  }
}

const NAMES: Record<number, string> = {
  1: 'icmp',
  58: 'icmp',
  ...Object.fromEntries(
    (Object.entries(protocolNumbers) as [Protocol, number][]).map(([name, n]) => [n, name]),
  ),
}

const protocolOf = (number: number): string => NAMES[number] ?? String(number)

const sorted = (edges: TalksEdge[]): TalksEdge[] =>
  edges.sort(
    (a, b) =>
      compare(a.from, b.from) ||
      compare(a.to, b.to) ||
      compare(a.protocol, b.protocol) ||
      (a.port ?? 0) - (b.port ?? 0),
  )

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
