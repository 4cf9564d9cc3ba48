/** A graph as a picture: nodes in their columns, and lines between them. The same graph gives the same picture. */

import { askedOf, connectionsOf, labelOf } from '../labels.ts'
import type { Graph, Node, PublishedEdge, TalksEdge } from '../model.ts'
import { type Columns, type Stand, standIn } from './columns.ts'
import type { Label, Line, Picture, Shape } from './shapes.ts'

const MARGIN = 20
const LINE_MAX = 5

export function layOut(graph: Graph): Picture {
  const columns = standIn(graph)
  const nodes = new Map(graph.nodes.map(node => [node.id, node]))
  const lines: Line[] = []
  const labels: Label[] = []
  for (const edge of graph.edges) {
    if (edge.kind !== 'talks' && edge.kind !== 'published') continue
    const drawn = draw(edge, columns, nodes)
    if (drawn === undefined) continue
    lines.push(drawn.line)
    if (drawn.label.text !== '') labels.push(drawn.label)
  }
  const shapes = [...columns.shapes, ...lines, ...labels].map(moved)
  return { width: columns.width + 2 * MARGIN, height: columns.height + 2 * MARGIN, shapes }
}

function draw(edge: TalksEdge | PublishedEdge, { asking, asked }: Columns, nodes: ReadonlyMap<string, Node>) {
  const [from, to] = [asking.get(edge.from), asked.get(edge.to)]
  if (from === undefined || to === undefined) return undefined
  const [first, last] = [nodes.get(edge.from), nodes.get(edge.to)]
  const asks = edge.kind === 'talks' ? askedOf(edge, last) : String(edge.containerPort ?? '')
  const said = [labelOf(first), '→', labelOf(last), asks, connectionsOf(edge)].filter(each => each !== '')
  const points = curve(from, to)
  const line: Line = {
    is: 'line',
    style: edge.kind,
    points,
    width: Math.min(1 + Math.log2(1 + edge.connections) / 2, LINE_MAX),
    title: said.join(' '),
  }
  const [a, b, c, d] = points
  const text = [asks, edge.connections > 0 ? `×${edge.connections}` : '']
    .filter(each => each !== '')
    .join(' ')
  const label: Label = {
    is: 'label',
    style: 'small',
    x: (a.x + 3 * b.x + 3 * c.x + d.x) / 8,
    y: (a.y + 3 * b.y + 3 * c.y + d.y) / 8 - 3,
    text,
    anchor: 'middle',
  }
  return { line, label }
}

/** To the right, or back to the left; between two of one column around their right side. */
function curve(from: Stand, to: Stand): Line['points'] {
  const isAside = from.left === to.left
  if (isAside) {
    const bend = 30 + Math.min(Math.abs(to.y - from.y) / 6, 40)
    return [
      { x: from.right, y: from.y },
      { x: from.right + bend, y: from.y },
      { x: to.right + bend, y: to.y },
      { x: to.right + 2, y: to.y + (from.y === to.y ? 6 : 0) },
    ]
  }
  const isForward = from.right < to.left
  const [x1, x2] = isForward ? [from.right, to.left - 2] : [from.left, to.right + 2]
  const half = (x2 - x1) / 2
  return [
    { x: x1, y: from.y },
    { x: x1 + half, y: from.y },
    { x: x2 - half, y: to.y },
    { x: x2, y: to.y },
  ]
}

function moved(shape: Shape): Shape {
  if (shape.is !== 'line') return { ...shape, x: round(shape.x + MARGIN), y: round(shape.y + MARGIN) }
  const [a, b, c, d] = shape.points.map(({ x, y }) => ({ x: round(x + MARGIN), y: round(y + MARGIN) }))
  return a && b && c && d ? { ...shape, points: [a, b, c, d], width: round(shape.width) } : shape
}

const round = (value: number): number => Math.round(value * 10) / 10
