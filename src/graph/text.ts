/**
 * A graph as a tree of lines, for a terminal of any width. Each edge stands once: what asks has what it asks below it, and a
 * container has the ports that lead to it.
 *
 *     buildbox
 *     ├─ eth0  192.0.2.10/24
 *     │  └─ 198.51.100.7
 *     │     └─ → 8080/tcp  3 connections
 *     └─ front  br-front  10.1.0.0/16
 *        ├─ web  10.1.0.2
 *        │  ├─ ← 8080/tcp to 80  nftables+proxy  3 connections
 *        │  └─ → db 5432/tcp  2 connections
 *        └─ db  10.1.0.3
 */

import { ipOf } from '../model/address/address.ts'
import { fitted, visible } from '../model/text/text.ts'
import { askedOf, connectionsOf, labelOf } from './labels.ts'
import type { AttachedEdge, Edge, Graph, NetworkNode, Node, UplinkNode } from './model.ts'

export interface TextOptions {
  /** Of the terminal; absent: as wide as it takes. */
  columns?: number
  /** Makes the name of a network, an uplink or the host stand out. */
  emphasise?: (text: string) => string
}

interface Branch {
  /** What stands out, and what is said of it. */
  name: string
  more: string
  isPlace?: true
  below: Branch[]
}

/** Lines, each with its end. */
export function printText(graph: Graph, { columns = Number.POSITIVE_INFINITY, emphasise }: TextOptions = {}) {
  const lines: string[] = []
  const steps = columns < NARROW ? STEPS.narrow : STEPS.wide
  const print = ({ name, more, isPlace, below }: Branch, first: string, others: string) => {
    const whole = fitted(more === '' ? name : `${name}  ${more}`, Math.max(columns - first.length, 1))
    const stands = isPlace && emphasise ? emphasise(whole.slice(0, name.length)) : whole.slice(0, name.length)
    lines.push(`${first}${stands}${whole.slice(name.length)}`)
    below.forEach((branch, index) => {
      const [here, there] = index === below.length - 1 ? steps.last : steps.inner
      print(branch, `${others}${here}`, `${others}${there}`)
    })
  }
  print(treeOf(graph), '', '')
  return lines.map(line => `${line}\n`).join('')
}

const NARROW = 40
const STEPS = {
  wide: { inner: ['├─ ', '│  '], last: ['└─ ', '   '] },
  narrow: { inner: ['├', '│'], last: ['└', ' '] },
} as const

function treeOf(graph: Graph): Branch {
  const nodes = new Map(graph.nodes.map(node => [node.id, node]))
  const named = (id: string) => labelOf(nodes.get(id))
  const asks = grouped(graph.edges, 'talks', edge => edge.from)
  const published = grouped(graph.edges, 'published', edge => edge.to)
  const told = new Set<string>()
  const below = (id: string): Branch[] => {
    if (told.has(id)) return []
    told.add(id)
    return [
      ...(published.get(id) ?? []).map(edge => {
        const port = nodes.get(edge.from)
        const to = edge.containerPort === undefined ? '' : ` to ${edge.containerPort}`
        return leaf(`← ${labelOf(port)}${to}`, byWords(port), connectionsOf(edge))
      }),
      ...(asks.get(id) ?? []).map(edge =>
        leaf(`→ ${named(edge.to)} ${askedOf(edge, nodes.get(edge.to))}`.trimEnd(), connectionsOf(edge)),
      ),
    ]
  }
  const place = (node: NetworkNode | UplinkNode, words: string[], members: Branch[]): Branch => ({
    ...leaf(labelOf(node), ...words),
    isPlace: true,
    below: members,
  })
  const uplinks = graph.nodes.flatMap(node => {
    if (node.kind !== 'uplink') return []
    const peers = graph.edges.filter(({ kind, to }) => kind === 'reached' && to === node.id)
    return [
      place(
        node,
        [...node.addresses],
        peers.map(({ from }) => ({ ...leaf(named(from)), below: below(from) })),
      ),
    ]
  })
  const members = grouped(graph.edges, 'attached', edge => edge.to)
  const networks = graph.nodes.flatMap(node => {
    if (node.kind !== 'network') return []
    const { bridge, subnets } = node
    const there = (members.get(node.id) ?? []).map(edge => ({
      ...leaf(named(edge.from), memberWords(edge)),
      below: below(edge.from),
    }))
    return [place(node, [...(bridge === undefined ? [] : [visible(bridge)]), ...subnets], there)]
  })
  const placed = new Set(
    graph.edges.flatMap(({ kind, from }) => (kind === 'attached' || kind === 'reached' ? [from] : [])),
  )
  const elsewhere = graph.nodes
    .filter(({ kind, id }) => (kind === 'container' || kind === 'peer') && !placed.has(id))
    .map(node => ({ ...leaf(labelOf(node)), below: below(node.id) }))

  const host = labelOf(nodes.get('host'))
  return { ...leaf(host), isPlace: true, below: [...below('host'), ...uplinks, ...networks, ...elsewhere] }
}

/** Who leads it, and what is so where it does not serve. */
const byWords = (port: Node | undefined): string =>
  port?.kind === 'port'
    ? [port.by.join('+'), port.state === 'serving' ? '' : port.state].join(' ').trim()
    : ''

const memberWords = ({ addresses, state }: AttachedEdge): string =>
  [addresses.map(ipOf).join(' '), state === 'attached' || state === 'unknown' ? '' : `(${state})`]
    .join(' ')
    .trim()

const leaf = (name: string, ...more: string[]): Branch => ({
  name,
  more: more.filter(each => each !== '').join('  '),
  below: [],
})

function grouped<Kind extends Edge['kind']>(
  edges: readonly Edge[],
  kind: Kind,
  by: (edge: Extract<Edge, { kind: Kind }>) => string,
): Map<string, Extract<Edge, { kind: Kind }>[]> {
  const groups = new Map<string, Extract<Edge, { kind: Kind }>[]>()
  for (const each of edges) {
    if (each.kind !== kind) continue
    const edge = each as Extract<Edge, { kind: Kind }>
    const group = groups.get(by(edge))
    if (group === undefined) groups.set(by(edge), [edge])
    else group.push(edge)
  }
  return groups
}
