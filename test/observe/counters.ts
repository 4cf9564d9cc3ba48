/** What counters say of ports and containers, from what is known of them. */

import t from 'tap'
import type { Ip } from '../../src/model/address/address.ts'
import { containerCounts, portCounts } from '../../src/observe/counters.ts'
import type { Seen } from '../../src/observe/seen.ts'
import type { HeldPort } from '../../src/publish/attachment-ports.ts'
import type { Served } from '../../src/publish/publish.ts'

const counters = {
  accepted: 7,
  active: 2,
  refused: 1,
  failed: 3,
  bytesIn: 100,
  bytesOut: 200,
  datagramsIn: 4,
  datagramsOut: 5,
  evicted: 6,
  denied: 1,
}
const counts = {
  connections: 7,
  active: 2,
  refused: 1,
  denied: 1,
  dropped: 3,
  evicted: 6,
  bytesIn: 100,
  bytesOut: 200,
  packetsIn: 4,
  packetsOut: 5,
}
const nothing = Object.fromEntries(Object.keys(counts).map(key => [key, 0]))

const web: Seen = {
  owner: '00112233445566aa',
  network: 'front',
  containerId: 'c'.repeat(64),
  ifname: 'eth0',
  name: 'web',
  addresses: ['10.1.0.2' as Ip],
  ports: [],
  createdAt: '2026-01-01T00:00:00.000Z',
  hostInterface: 'veth00112233',
}

t.test('a port has what the proxy counted, whoever published it', async t => {
  const published = [
    {
      id: 'aa',
      protocol: 'tcp',
      hostPort: 8080,
      count: 1,
      containers: [{ id: 'i', name: 'api', asked: 'docker:api' }],
      counters,
      redirected: { connections: 10, uncounted: [] },
    },
    { id: 'bb', protocol: 'tcp', hostPort: 8081, count: 1, containers: [] },
  ] as unknown as Served[]
  const call = {
    protocol: 'udp',
    hostIp: '::' as Ip,
    hostPort: 53,
    containerIp: '172.17.0.2' as Ip,
    containerPort: 53,
  }
  const held = [
    {
      id: `${web.owner}:9000/tcp`,
      of: { owner: web.owner, protocol: 'tcp', hostPort: 9000, count: 2 },
      counters,
    },
    { id: 'docker-proxy 1', call, counters },
    { id: `${web.owner}:9001/tcp`, obstacle: 'somebody has it' },
    { id: 'x', of: { owner: 'gone', protocol: 'tcp', hostPort: 1, count: 1 }, counters },
  ] as HeldPort[]
  t.strictSame(portCounts(published, held, [web]), [
    {
      id: 'aa',
      source: 'publish',
      protocol: 'tcp',
      hostPort: 8080,
      count: 1,
      containers: [{ id: 'i', name: 'docker:api' }],
      ...counts,
      connections: 17,
      redirected: 10,
    },
    { id: 'bb', source: 'publish', protocol: 'tcp', hostPort: 8081, count: 1, containers: [], ...nothing },
    {
      id: `${web.owner}:9000/tcp`,
      source: 'cni',
      protocol: 'tcp',
      hostPort: 9000,
      count: 2,
      containers: [{ id: web.containerId, name: 'web' }],
      network: 'front',
      ...counts,
    },
    {
      id: 'docker-proxy 1',
      source: 'docker',
      protocol: 'udp',
      hostIp: '::',
      hostPort: 53,
      count: 1,
      containers: [{ id: '172.17.0.2', name: '172.17.0.2' }],
      ...counts,
    },
  ])
})

t.test('a container has what its link counted, and nothing where it has none any more', async t => {
  const traffic = { bytesIn: 1, bytesOut: 2, packetsIn: 3, packetsOut: 4, dropped: 5 }
  const known = {
    owner: web.owner,
    id: web.containerId,
    name: 'web',
    network: 'front',
    ifname: 'eth0',
    addresses: ['10.1.0.2'],
  }
  t.strictSame(containerCounts([web], new Map([[web.owner, traffic]]), new Map([[web.owner, 3]])), [
    { ...known, ...traffic, denied: 3 },
  ])
  const none = { bytesIn: 0, bytesOut: 0, packetsIn: 0, packetsOut: 0, dropped: 0 }
  t.strictSame(containerCounts([web], new Map(), new Map()), [{ ...known, ...none }])
})
