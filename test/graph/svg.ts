/** A graph as a picture: the same each time, all within its frame, and names are nothing but text. */

import { spawnSync } from 'node:child_process'
import t from 'tap'
import { buildGraph, condense, printSvg } from '../../src/graph/graph.ts'
import { layOut } from '../../src/graph/svg/layout.ts'
import type { Box } from '../../src/graph/svg/shapes.ts'
import { connection, crowd, facts, HOSTILE } from '../support/graph.ts'

const busy = facts({
  connections: [
    connection('198.51.100.7', ['192.0.2.10', 8080], ['10.1.0.2', 80]),
    connection('127.0.0.1', ['127.0.0.1', 8080]),
    connection('10.2.0.2', ['10.2.0.3', 5432]),
    connection('10.1.0.2', ['8.8.8.8', 443]),
    connection('10.2.0.3', ['192.0.2.10', 8080], ['10.1.0.2', 80]),
  ],
})

t.test('the same facts give the same picture, whatever order connections come in', async t => {
  const other = facts({ connections: busy.connections.toReversed() })
  t.equal(printSvg(buildGraph(busy)), printSvg(buildGraph(other)))
})

t.test('all boxes and labels are within the frame, and boxes of one kind do not overlap', async t => {
  for (const graph of [
    buildGraph(busy),
    buildGraph(facts({ attached: [], ports: [], networks: [], uplinks: [] })),
    condense(buildGraph(crowd(500)), { containers: 20, ports: 20, peers: 20 }),
  ]) {
    const { width, height, shapes } = layOut(graph)
    const boxes = shapes.filter(shape => shape.is === 'box')
    const isOutside = ({ x, y, width: w, height: h }: Box) =>
      x < 0 || y < 0 || x + w > width || y + h > height
    t.same(boxes.filter(isOutside), [])
    t.same(
      boxes.flatMap((a, index) => boxes.slice(index + 1).filter(b => !isApart(a, b) && !isWithin(b, a))),
      [],
    )
    const ends = shapes.flatMap(shape => (shape.is === 'label' && shape.anchor === 'middle' ? [shape.x] : []))
    t.same(
      ends.filter(x => x < 30 || x > width - 30),
      [],
    )
  }
})

const isApart = (a: Box, b: Box): boolean =>
  a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y

const isWithin = (a: Box, b: Box): boolean =>
  b.x <= a.x && b.y <= a.y && a.x + a.width <= b.x + b.width && a.y + a.height <= b.y + b.height

t.test('every edge that says something is a line between two boxes', async t => {
  const graph = buildGraph(busy)
  const lines = layOut(graph).shapes.filter(shape => shape.is === 'line')
  t.same(
    lines.map(({ title }) => title).sort(),
    [
      '192.0.2.10:9000-9001/tcp → cache 900',
      '198.51.100.7 → 8080/tcp 1 connection',
      '8080/tcp → web 80 4 connections',
      'box → 8080/tcp 1 connection',
      'db → 8080/tcp 1 connection',
      'web → 8.8.8.8 443/tcp 1 connection',
      'web → db 5432/tcp 1 connection',
    ].sort(),
  )
})

t.test(
  'a document is well-formed whatever names are, and has no element and no attribute of theirs',
  async t => {
    const [attachment] = busy.attached
    for (const name of HOSTILE) {
      const attached = attachment ? [{ ...attachment, name, network: name, bridge: name }] : []
      const document = printSvg(buildGraph(facts({ host: name, attached, ports: [] })))
      t.notMatch(document, /<script|onload=(?!alert\(1\)&)/)
      t.same(
        [...new Set(document.match(/<\w+/g))].sort(),
        ['<defs', '<marker', '<path', '<rect', '<style', '<svg', '<text', '<title'].filter(each =>
          document.includes(each),
        ),
      )
      const { status, stderr } = spawnSync(
        'python3',
        ['-c', 'import sys,xml.dom.minidom as m; m.parse(sys.stdin.buffer)'],
        {
          input: document,
        },
      )
      t.equal(status, 0, `${JSON.stringify(name.slice(0, 20))} ${stderr}`)
    }
  },
)
