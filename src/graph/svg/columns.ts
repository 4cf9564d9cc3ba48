/**
 * Where nodes stand: in four columns, those that ask on the left.
 *
 *     who asks           ports         networks and             who is asked
 *     (by uplink)                      their containers         (by uplink)
 *
 * Ports and peers stand as near as they can to what they lead to. A column of nobody takes no room.
 */

import { ipOf } from '../../model/address/address.ts'
import { fitted, visible } from '../../model/text/text.ts'
import { labelOf } from '../labels.ts'
import type { AttachedEdge, Graph, Node } from '../model.ts'
import type { Box, Label, Shape } from './shapes.ts'

/** Where lines to and from a node meet it. */
export interface Stand {
  left: number
  right: number
  y: number
}

export interface Columns {
  shapes: Shape[]
  /** By node: as who asks, and as who is asked; what stands once is the same in both. */
  asking: Map<string, Stand>
  asked: Map<string, Stand>
  width: number
  height: number
}

const ROW = 22
const ROW_GAP = 6
const HEAD = 26
const PADDING = 8
const GROUP_GAP = 18
const WIDTHS = { peers: 210, ports: 180, networks: 290 }
const GAP = 110
/** Of 13 and of 11 px, in one pixel. */
const LETTERS = { name: 1 / 7.4, small: 1 / 6.2 }

interface Row {
  id: string
  style: Box['style']
  name: string
  more: string
}

interface Group {
  id: string
  style: Box['style']
  name: string
  more: string
  rows: Row[]
}

export function standIn(graph: Graph): Columns {
  const nodes = new Map(graph.nodes.map(node => [node.id, node]))
  const columns: Columns = { shapes: [], asking: new Map(), asked: new Map(), width: 0, height: 0 }
  const talks = graph.edges.filter(edge => edge.kind === 'talks')
  const outside = (id: string) => !['container', 'port'].includes(kindOf(nodes.get(id)))
  const askers = new Set(talks.map(({ from }) => from).filter(outside))
  const targets = new Set(talks.map(({ to }) => to).filter(outside))
  const ports = graph.nodes.filter(node => kindOf(node) === 'port')
  let x = 0
  const place = (width: number, isUsed: boolean): number => {
    const at = x
    if (isUsed) x += width + GAP
    return at
  }
  const xs = {
    askers: place(WIDTHS.peers, askers.size > 0),
    ports: place(WIDTHS.ports, ports.length > 0),
    networks: place(WIDTHS.networks, true),
    targets: place(WIDTHS.peers, targets.size > 0),
  }
  // Lines between two of a column go around on its right.
  const isLast = targets.size === 0 && talks.some(({ from, to }) => !outside(from) && !outside(to))
  columns.width = x - (isLast ? 0 : GAP)

  // Lines lead to where containers are, so these come first.
  const containers = new Map<string, Stand>()
  stackGroups(columns, networkGroups(graph, nodes), xs.networks, WIDTHS.networks, containers)
  for (const [id, stand] of containers) {
    columns.asking.set(id, stand)
    columns.asked.set(id, stand)
  }
  const nearOf = (id: string): number => {
    const ends = graph.edges
      .filter(edge => (edge.kind === 'talks' || edge.kind === 'published') && edge.from === id)
      .flatMap(({ to }) => columns.asked.get(to)?.y ?? [])
    return ends.length === 0 ? 0 : ends.reduce((sum, y) => sum + y, 0) / ends.length
  }
  let bottom = 0
  for (const port of sortedBy(ports, ({ id }) => nearOf(id))) {
    const y = Math.max(bottom, nearOf(port.id) - ROW / 2)
    const stand = addRow(columns, rowOf(port), xs.ports, y, WIDTHS.ports)
    columns.asking.set(port.id, stand)
    columns.asked.set(port.id, stand)
    bottom = y + ROW + ROW_GAP
    columns.height = Math.max(columns.height, y + ROW)
  }
  const asking = sortedBy([...askers], nearOf)
  stackGroups(columns, peerGroups(graph, nodes, asking), xs.askers, WIDTHS.peers, columns.asking)
  const byAskers = sortedBy([...targets], id => {
    const [first] = talks
      .filter(({ to }) => to === id)
      .flatMap(({ from }) => columns.asking.get(from)?.y ?? [])
    return first ?? 0
  })
  stackGroups(columns, peerGroups(graph, nodes, byAskers), xs.targets, WIDTHS.peers, columns.asked)
  return columns
}

const kindOf = (node: Node | undefined): string =>
  node?.kind === 'others' ? node.of.slice(0, -1) : (node?.kind ?? '')

/** The order in which they were is that of those that are equal. */
const sortedBy = <T>(list: readonly T[], key: (item: T) => number): T[] => {
  const keys = new Map(list.map(item => [item, key(item)]))
  return list.toSorted((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0))
}

function networkGroups({ nodes, edges }: Graph, byId: ReadonlyMap<string, Node>): Group[] {
  const members = new Map<string, AttachedEdge[]>()
  const placed = new Set<string>()
  for (const edge of edges) {
    if (edge.kind !== 'attached') continue
    members.set(edge.to, [...(members.get(edge.to) ?? []), edge])
    placed.add(edge.from)
  }
  const networks = nodes.flatMap((node): Group[] => {
    if (node.kind !== 'network') return []
    const rows = (members.get(node.id) ?? []).map(({ from, addresses }) =>
      rowOf(byId.get(from), addresses.map(ipOf).join(' ')),
    )
    return [{ id: node.id, style: 'network', name: labelOf(node), more: node.subnets.join(' '), rows }]
  })
  const homeless = nodes.filter(node => kindOf(node) === 'container' && !placed.has(node.id))
  if (homeless.length === 0) return networks
  return [
    ...networks,
    { id: '', style: 'network', name: 'elsewhere', more: '', rows: homeless.map(each => rowOf(each)) },
  ]
}

/** By uplink, in the order of the first of each. */
function peerGroups({ edges }: Graph, nodes: ReadonlyMap<string, Node>, ids: readonly string[]): Group[] {
  const uplinkOf = new Map(
    edges.flatMap(({ kind, from, to }) => (kind === 'reached' ? [[from, to] as const] : [])),
  )
  const groups = new Map<string, Group>()
  for (const id of ids) {
    const uplink = nodes.get(uplinkOf.get(id) ?? '')
    const key = uplink?.id ?? id
    const addresses = uplink?.kind === 'uplink' ? uplink.addresses.join(' ') : ''
    const style = uplink === undefined ? 'host' : 'uplink'
    const group = groups.get(key) ?? {
      id: key,
      style,
      name: labelOf(uplink ?? nodes.get(id)),
      more: addresses,
      rows: [],
    }
    if (uplink !== undefined) group.rows.push(rowOf(nodes.get(id)))
    groups.set(key, group)
  }
  return [...groups.values()]
}

function rowOf(node: Node | undefined, more = ''): Row {
  const name = labelOf(node)
  const by = node?.kind === 'port' ? visible(node.state === 'serving' ? node.by.join('+') : node.state) : more
  const style = node === undefined || node.kind === 'network' ? 'others' : node.kind
  return { id: node?.id ?? '', style, name, more: by }
}

/** One below the other; rows are where their groups are. */
function stackGroups(
  columns: Columns,
  groups: readonly Group[],
  x: number,
  width: number,
  stands: Map<string, Stand>,
): void {
  let y = 0
  for (const group of groups) {
    const { id, style, name, more, rows } = group
    const height = HEAD + (rows.length === 0 ? 0 : rows.length * (ROW + ROW_GAP) - ROW_GAP + PADDING)
    columns.shapes.push({
      is: 'box',
      style,
      x,
      y,
      width,
      height,
      of: id,
      title: [name, more].join('  ').trim(),
    })
    columns.shapes.push(...labels({ name, more }, 'place', x + PADDING, y + HEAD / 2, width - 2 * PADDING))
    // What has no rows is asked itself.
    if (rows.length === 0) stands.set(id, { left: x, right: x + width, y: y + height / 2 })
    rows.forEach((row, index) => {
      const at = y + HEAD + index * (ROW + ROW_GAP)
      const stand = addRow(columns, row, x + PADDING, at, width - 2 * PADDING)
      // Lines end at the group's edge; of a container on several networks the first counts.
      if (!stands.has(row.id)) stands.set(row.id, stand)
    })
    y += height + GROUP_GAP
  }
  columns.height = Math.max(columns.height, y - GROUP_GAP)
}

function addRow({ shapes }: Columns, row: Row, x: number, y: number, width: number): Stand {
  const { id, style, name, more } = row
  shapes.push({ is: 'box', style, x, y, width, height: ROW, of: id, title: [name, more].join('  ').trim() })
  shapes.push(...labels(row, 'name', x + PADDING, y + ROW / 2, width - 2 * PADDING))
  return { left: x, right: x + width, y: y + ROW / 2 }
}

/** The name, and in what room it leaves the rest. */
function labels(
  { name, more }: { name: string; more: string },
  style: 'name' | 'place',
  x: number,
  y: number,
  width: number,
): Label[] {
  const shown = fitted(name, Math.floor(width * LETTERS.name))
  const room = Math.floor((width - shown.length / LETTERS.name - PADDING) * LETTERS.small)
  const rest = room < 6 ? '' : fitted(more, room)
  return [
    { is: 'label', style, x, y: y + 4.5, text: shown, anchor: 'start' },
    ...(rest === ''
      ? []
      : [{ is: 'label', style: 'small', x: x + width, y: y + 4, text: rest, anchor: 'end' } as const]),
  ]
}
