/** Facts become a graph: who talks to whom, told once, whatever rules and proxies have made of it. */

import t from 'tap'
import { buildGraph, type Edge, type Facts } from '../../src/graph/graph.ts'
import { connection, facts } from '../support/graph.ts'

const talks = (connections: Facts['connections'], more: Partial<Facts> = {}): string[] =>
  buildGraph(facts({ connections, ...more }))
    .edges.filter(edge => edge.kind === 'talks')
    .map(({ from, to, protocol, port, connections }) => `${from} ${to} ${port}/${protocol} ${connections}`)

const published = (connections: Facts['connections']): (number | undefined)[] =>
  edgesOf(connections, 'published').map(({ connections }) => connections)

const edgesOf = <K extends Edge['kind']>(connections: Facts['connections'], kind: K) =>
  buildGraph(facts({ connections })).edges.filter(
    (edge): edge is Extract<Edge, { kind: K }> => edge.kind === kind,
  )

t.test('there is a node for the host, uplinks, networks, containers and ports, and each once', async t => {
  const { nodes, edges } = buildGraph(facts())
  t.same(
    nodes.map(({ id }) => id),
    [
      'host',
      'uplink:eth0',
      'uplink:vpn0',
      'network:front',
      'network:back',
      'network:docker0',
      'network:gone',
      'container:id-web',
      'container:id-db',
      'container:id-old',
      'container:c0ffee',
      'port:8080/tcp',
      'port:192.0.2.10:9000-9001/tcp',
    ],
  )
  t.match(nodes[6], { name: 'gone', bridge: 'br-gone', subnets: [] }, 'a network whose list is gone')
  t.same(
    edges.flatMap(edge => (edge.kind === 'attached' ? [[edge.from, edge.to, edge.ifname, edge.state]] : [])),
    [
      ['container:id-web', 'network:front', 'eth0', 'attached'],
      ['container:id-web', 'network:back', 'eth1', 'attached'],
      ['container:id-db', 'network:back', 'eth0', 'attached'],
      ['container:id-old', 'network:gone', 'eth0', 'dead'],
    ],
  )
  t.match(
    edges.filter(({ kind }) => kind === 'published'),
    [
      { from: 'port:8080/tcp', to: 'container:id-web', containerPort: 80, connections: 2 },
      { from: 'port:192.0.2.10:9000-9001/tcp', to: 'container:c0ffee', containerPort: 900, connections: 0 },
    ],
    'a container is known by its address where runtimes disagree about its id',
  )
})

t.test('a client led by rules asks the port, and the port leads to the container', async t => {
  const led = connection('198.51.100.7', ['192.0.2.10', 8080], ['10.1.0.2', 80], { bytes: 500 })
  t.same(talks([led, led]), ['peer:198.51.100.7 port:8080/tcp 8080/tcp 2'])
  t.same(published([led, led]), [4, 0], 'to the two that the proxy has')
  t.match(edgesOf([led, led], 'published')[0], { bytes: 1000 })
  t.match(edgesOf([led], 'reached'), [{ from: 'peer:198.51.100.7', to: 'uplink:eth0' }])
})

t.test(
  'a client of the proxy asks the port, and what the proxy begins is not told a second time',
  async t => {
    const client = connection('192.0.2.77', ['192.0.2.10', 8080])
    const local = connection('127.0.0.1', ['127.0.0.1', 8080])
    const onwards = connection('10.1.0.1', ['10.1.0.2', 80])
    t.same(talks([client, local, onwards, onwards]), [
      'host port:8080/tcp 8080/tcp 1',
      'peer:192.0.2.77 port:8080/tcp 8080/tcp 1',
    ])
    t.same(published([client, local, onwards, onwards]), [2, 0])
    t.same(
      talks([onwards, onwards, onwards]),
      ['host container:id-web 80/tcp 1'],
      'but what the host itself has begun is',
    )
  },
)

t.test('containers ask each other, the host and others, under whatever address', async t => {
  t.same(
    talks([
      connection('10.2.0.2', ['10.2.0.3', 5432]),
      connection('10.1.0.2', ['10.1.0.1', 53], undefined, { protocol: 17 }),
      connection('10.1.0.2', ['2001:db8::1', 443]),
      connection('10.2.0.3', ['192.0.2.10', 8080], ['10.1.0.2', 80]),
    ]),
    [
      'container:id-db port:8080/tcp 8080/tcp 1',
      'container:id-web container:id-db 5432/tcp 1',
      'container:id-web host 53/udp 1',
      'container:id-web peer:2001:db8::1 443/tcp 1',
    ],
  )
})

t.test(
  'who is reached is reached by the uplink with its subnet, else by the first of its family',
  async t => {
    const ask = (address: string) => connection('10.1.0.2', [address, 443])
    const reached = edgesOf([ask('10.200.0.9'), ask('8.8.8.8'), ask('2001:db8:1::1')], 'reached')
    t.same(
      reached.map(({ from, to }) => `${from} ${to}`),
      ['peer:10.200.0.9 uplink:vpn0', 'peer:2001:db8:1::1 uplink:eth0', 'peer:8.8.8.8 uplink:eth0'],
    )
  },
)

t.test(
  "another runtime's containers are known by the port that led to them, or by their network",
  async t => {
    const led = connection('198.51.100.7', ['192.0.2.10', 9001], ['172.17.0.2', 901])
    t.same(talks([led, connection('172.17.0.2', ['10.2.0.3', 5432])]), [
      'container:c0ffee container:id-db 5432/tcp 1',
      'peer:198.51.100.7 port:192.0.2.10:9000-9001/tcp 9001/tcp 1',
    ])
    const unknown = buildGraph(facts({ connections: [connection('172.17.0.9', ['10.2.0.3', 5432])] }))
    t.match(
      unknown.nodes.find(({ id }) => id === 'container:172.17.0.9'),
      { kind: 'container', name: '172.17.0.9' },
    )
    t.match(
      unknown.edges.find(({ from, kind }) => kind === 'attached' && from === 'container:172.17.0.9'),
      { to: 'network:docker0', state: 'unknown' },
    )
  },
)

t.test(
  'what is nothing to containers is left out: the host with others, and what is sent to many',
  async t => {
    t.same(
      talks([
        connection('198.51.100.7', ['192.0.2.10', 22]),
        connection('192.0.2.10', ['198.51.100.7', 443]),
        connection('198.51.100.7', ['192.0.2.10', 9002]),
        connection('198.51.100.7', ['192.0.2.11', 8080]),
        connection('10.1.0.2', ['224.0.0.251', 5353], undefined, { protocol: 17 }),
        connection('10.1.0.2', ['ff02::fb', 5353], undefined, { protocol: 17 }),
      ]),
      [],
    )
  },
)

t.test('a port of one address is asked there alone, and of its own protocol', async t => {
  t.same(talks([connection('198.51.100.7', ['10.200.0.1', 9000])]), [])
  t.same(talks([connection('198.51.100.7', ['192.0.2.10', 8080], undefined, { protocol: 17 })]), [])
})

t.test('the same facts in another order give the same talks', async t => {
  const all = [
    connection('198.51.100.7', ['192.0.2.10', 8080], ['10.1.0.2', 80]),
    connection('10.2.0.2', ['10.2.0.3', 5432]),
    connection('10.1.0.2', ['8.8.8.8', 443]),
  ]
  t.same(talks(all), talks(all.toReversed()))
})
