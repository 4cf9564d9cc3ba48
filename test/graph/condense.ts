/** Of many nodes those stay themselves that most is going on with; the others are told as one, and nothing is lost. */

import t from 'tap'
import { buildGraph, condense, type Graph } from '../../src/graph/graph.ts'
import { connection, crowd, facts } from '../support/graph.ts'

const LIMITS = { containers: 5, ports: 5, peers: 5 }

const connectionsIn = ({ edges }: Graph): number =>
  edges.reduce((sum, edge) => sum + (edge.kind === 'talks' ? edge.connections : 0), 0)

t.test('a graph that is small enough stays as it is', async t => {
  const graph = buildGraph(crowd(6))
  t.equal(condense(graph, LIMITS), graph, 'and one is not told as one other')
})

t.test('containers with most connections stay, and the others are one, with all of theirs', async t => {
  const graph = buildGraph(crowd(5000))
  const small = condense(graph, LIMITS)
  t.match(
    small.nodes.flatMap(node => (node.kind === 'others' ? [node] : [])),
    [{ of: 'containers', count: 4995 }],
  )
  t.ok(
    small.nodes.some(({ id }) => id === 'container:id-c0'),
    'whom all ask',
  )
  t.equal(connectionsIn(small), connectionsIn(graph))
  t.ok(small.edges.length < 30)
  t.match(
    small.edges.find(({ kind, from }) => kind === 'talks' && from.startsWith('others:')),
    { to: 'container:id-c0', port: 5432, protocol: 'tcp', connections: 4995 },
    'a port that is the same of all is told',
  )
})

t.test(
  'peers are told as one of each uplink, and what they ask for is said where all ask the same',
  async t => {
    const graph = buildGraph(
      facts({
        connections: Array.from({ length: 100 }, (_, n) => [
          connection(`198.51.100.${n}`, ['192.0.2.10', 8080], ['10.1.0.2', 80]),
          connection(`10.200.0.${n + 2}`, ['10.1.0.2', 1000 + n], undefined, { protocol: n % 2 ? 6 : 17 }),
        ]).flat(),
      }),
    )
    const small = condense(graph, LIMITS)
    t.same(
      small.nodes.flatMap(node => (node.kind === 'others' ? [[node.id, node.count]] : [])),
      [
        ['others:peers:uplink:vpn0', 95],
        ['others:peers:uplink:eth0', 95],
      ].sort(([a = ''], [b = '']) => (a < b ? 1 : -1)),
    )
    const [mixed] = small.edges.filter(({ from, kind }) => kind === 'talks' && from.endsWith('vpn0'))
    t.match(mixed, { protocol: '', connections: 95 })
    t.notOk(mixed && 'port' in mixed)
  },
)

t.test('every end of an edge is a node', async t => {
  const graph = condense(buildGraph(crowd(300)), LIMITS)
  const ids = new Set(graph.nodes.map(({ id }) => id))
  t.same(
    graph.edges.filter(({ from, to }) => !ids.has(from) || !ids.has(to)),
    [],
  )
})
