/** Numbers for Prometheus, read as its text format says. */

import t from 'tap'
import { expositionOf, SERIES_MAX } from '../../src/observe/exposition.ts'
import type { CountersReport } from '../../src/observe/observe.ts'

const traffic = { bytesIn: 1, bytesOut: 2, packetsIn: 3, packetsOut: 4, dropped: 5 }

function report(containers: number): CountersReport {
  return {
    at: 0,
    tookMs: 0,
    generation: 0,
    isWhole: true,
    ports: [
      {
        id: 'a',
        source: 'publish',
        protocol: 'tcp',
        hostIp: '::1' as never,
        hostPort: 8080,
        count: 2,
        containers: [{ id: '1', name: 'a"b\\c\nd' }],
        ...traffic,
        connections: 9,
        active: 1,
        refused: 5,
        denied: 3,
        evicted: 0,
      },
    ],
    containers: Array.from({ length: containers }, (_, i) => ({
      owner: String(i),
      id: String(i),
      name: 'web',
      network: 'front',
      ifname: 'eth0',
      addresses: [],
      ...traffic,
    })),
  }
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (\d+(?:\.\d+)?)$/

t.test('each family is described once, before its samples, and no series stands twice', async t => {
  const text = expositionOf(report(2))
  t.ok(text.endsWith('\n'))
  const described = new Map<string, string>()
  const series = new Set<string>()
  let family = ''
  for (const line of text.slice(0, -1).split('\n')) {
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE) (\w+) (.+)$/.exec(line) ?? []
    if (word === 'HELP') {
      t.notOk(described.has(name), name)
      family = name
      described.set(name, '')
    } else if (word === 'TYPE') {
      t.equal(name, family)
      t.match(rest, /^(counter|gauge)$/)
      t.equal(name.endsWith('_total'), rest === 'counter', name)
      described.set(name, rest)
    } else {
      const [, name, labels] = SAMPLE.exec(line) ?? []
      t.equal(name, family, line)
      t.notOk(series.has(`${name}{${labels}}`), line)
      series.add(`${name}{${labels}}`)
    }
  }
  t.equal(series.size, 1 + 2 + 2 + 10 + 2 * 5)
  t.ok(
    text.includes(
      'tsnet_port_refused_connections_total{port="[::1]:8080-8081/tcp",container="a\\"b\\\\c\\nd",source="publish",reason="source"} 3\n',
    ),
  )
  t.ok(
    text.includes(
      'tsnet_container_receive_bytes_total{network="front",container="web",id="1",interface="eth0"} 1\n',
    ),
  )
})

t.test('on a full host not all have series, and how many have none is told', async t => {
  const text = expositionOf(report(5_000))
  t.ok(text.includes('tsnet_attachments 5000\n'))
  t.ok(text.includes(`tsnet_omitted_series{kind="container"} ${5_000 - SERIES_MAX}\n`))
  t.equal([...text.matchAll(/^tsnet_container_receive_bytes_total/gm)].length, SERIES_MAX)
})

t.test('where nobody is there is nothing but that', async t => {
  const text = expositionOf({
    at: 0,
    tookMs: 0,
    generation: 0,
    isWhole: true,
    ports: [],
    containers: [],
  })
  t.match(text, /tsnet_ports 0\n/)
  t.notMatch(text, /tsnet_port_/)
})
