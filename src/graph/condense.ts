/**
 * A graph that can be looked at: of containers of a network, ports and peers those that most is going on with, and the
 * others told as one. Pure; of the same graph it shows the same.
 */

import type { Edge, Graph, Node, OthersNode, TalksEdge } from './model.ts'

export interface Limits {
  /** Of each network. */
  containers: number
  ports: number
  /** Of each uplink. */
  peers: number
}

/** What stays itself and what is one of many; nobody is replaced by a node that stands for one alone. */
export function condense(graph: Graph, limits: Limits): Graph {
  const groups = groupsOf(graph)
  const weights = weightsOf(graph)
  const standsFor = new Map<string, string>()
  const others: OthersNode[] = []
  for (const { of, place, members } of groups) {
    const limit = limits[of]
    if (members.length <= limit + 1) continue
    const ranked = members.toSorted((a, b) => (weights.get(b) ?? 0) - (weights.get(a) ?? 0))
    const id = `others:${of}:${place}`
    const left = ranked.slice(limit)
    others.push({ kind: 'others', id, of, count: left.length })
    for (const member of left) standsFor.set(member, id)
  }
  if (others.length === 0) return graph
  return {
    nodes: [...graph.nodes.filter(({ id }) => !standsFor.has(id)), ...others],
    edges: merged(graph.edges, standsFor),
  }
}

interface Group {
  of: OthersNode['of']
  place: string
  members: string[]
}

/** Containers by their first network, peers by their uplink, and ports. */
function groupsOf({ nodes, edges }: Graph): Group[] {
  const places = new Map<string, string>()
  for (const { kind, from, to } of edges) {
    if ((kind === 'attached' || kind === 'reached') && !places.has(from)) places.set(from, to)
  }
  const groups = new Map<string, Group>()
  for (const { kind, id } of nodes) {
    const of = GROUPED[kind]
    if (of === undefined) continue
    const place = places.get(id) ?? ''
    const group = groups.get(`${of} ${place}`) ?? { of, place, members: [] }
    group.members.push(id)
    groups.set(`${of} ${place}`, group)
  }
  return [...groups.values()]
}

const GROUPED: Partial<Record<Node['kind'], OthersNode['of']>> = {
  container: 'containers',
  peer: 'peers',
  port: 'ports',
}

/** Whoever talks goes before who does not, and who is published before who is not. */
function weightsOf({ edges }: Graph): Map<string, number> {
  const weights = new Map<string, number>()
  for (const edge of edges) {
    const weight = edge.kind === 'talks' || edge.kind === 'published' ? edge.connections + 1 / 2 : 0
    for (const end of [edge.from, edge.to]) weights.set(end, (weights.get(end) ?? 0) + weight)
  }
  return weights
}

/** Edges of those that are told as one become one, where they say the same of the same two. */
function merged(edges: readonly Edge[], standsFor: ReadonlyMap<string, string>): Edge[] {
  const kept: Edge[] = []
  const ofMany = new Map<string, Edge>()
  for (const edge of edges) {
    const [from, to] = [standsFor.get(edge.from) ?? edge.from, standsFor.get(edge.to) ?? edge.to]
    if (from === edge.from && to === edge.to) {
      kept.push(edge)
      continue
    }
    const key = `${edge.kind} ${from} ${to}`
    const known = ofMany.get(key)
    if (known === undefined) ofMany.set(key, { ...ofSeveral(edge), from, to })
    else add(known, edge)
  }
  return [...kept, ...ofMany.values()]
}

/** Without what is so of one alone. */
function ofSeveral(edge: Edge): Edge {
  if (edge.kind === 'attached') {
    const { ifname: _, ...rest } = edge
    return { ...rest, addresses: [] }
  }
  return { ...edge }
}

function add(sum: Edge, edge: Edge): void {
  if (sum.kind === 'talks' && edge.kind === 'talks') {
    if (sum.port !== edge.port || sum.protocol !== edge.protocol) delete sum.port
    sum.protocol = protocolOf(sum, edge)
  }
  if (sum.kind === 'published' && edge.kind === 'published' && sum.containerPort !== edge.containerPort)
    delete sum.containerPort
  if (!('connections' in sum) || !('connections' in edge)) return
  sum.connections += edge.connections
  if (edge.bytes !== undefined) sum.bytes = (sum.bytes ?? 0) + edge.bytes
}

/** Of several protocols none. */
const protocolOf = (a: TalksEdge, b: TalksEdge): string => (a.protocol === b.protocol ? a.protocol : '')
