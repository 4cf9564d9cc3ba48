/** The numbers of a daemon, as Prometheus's own programs read them. */

import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { expositionOf } from '../../src/observe/exposition.ts'
import { withDaemon } from '../support/daemon.ts'

t.setTimeout(600_000)

const traffic = { bytesIn: 1, bytesOut: 2, packetsIn: 3, packetsOut: 4, dropped: 5 }

/** @returns what it has to say; nothing where all is well */
const promtool = (input: string) => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })
  return { status, said: stdout + stderr }
}

t.test('promtool has nothing to say of the numbers, whatever names containers have', async t => {
  const name = 'a"b\\c\nd\u001b{}=,ü'
  const text = expositionOf({
    at: 0,
    tookMs: 0,
    generation: 0,
    isWhole: true,
    ports: [
      {
        id: 'a',
        source: 'publish',
        protocol: 'tcp',
        hostPort: 8080,
        count: 2,
        containers: [{ id: '1', name }],
        ...traffic,
        connections: 9,
        active: 1,
        refused: 5,
        denied: 3,
        evicted: 0,
      },
    ],
    containers: [
      { owner: '1', id: '1', name, network: name, ifname: 'eth0', addresses: [], ...traffic },
      { owner: '2', id: '2', name: '', network: 'front', ifname: 'eth0', addresses: [], ...traffic },
    ],
  })
  t.same(promtool(text), { status: 0, said: '' })
  t.not(promtool(`${text}tsnet_odd{name="a"b"} 1\n`).status, 0, 'what it does not understand it says')
})

t.test('Prometheus itself reads them from a daemon that runs', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  const { host } = scene
  await tsnet.run('publish', '--mode', 'proxy', '8080:80', 'netns:web')
  const daemon = await tsnet.daemon('--replace', '--metrics', '127.0.0.1:9808')
  await waitFor(() => daemon.stderr.includes('metrics at'), { what: 'the metrics' })
  await host.ask('tcp', '127.0.0.1', 8080)
  const read = await host.run('curl', '-sS', '--fail', 'http://127.0.0.1:9808/metrics')
  t.same(promtool(read.stdout), { status: 0, said: '' })
  const config = host.path('/run/prometheus.yml')
  writeFileSync(
    config,
    `global: { scrape_interval: 1s }
scrape_configs:
  - job_name: tsnet
    static_configs: [{ targets: ['127.0.0.1:9808'] }]
`,
  )
  const prometheus = host.start(
    ...['prometheus', '--config.file=/run/prometheus.yml', '--storage.tsdb.path=/run/prometheus'],
    ...['--web.listen-address=127.0.0.1:9090'],
  )
  const value = async (query: string) => {
    const { stdout } = await host.run(
      ...['curl', '-sS', '-G', 'http://127.0.0.1:9090/api/v1/query', '--data-urlencode', `query=${query}`],
      { mayFail: true },
    )
    return /"value":\[[\d.]+,"(\d+)"\]/.exec(stdout)?.[1]
  }
  const told = await waitFor(() => value('tsnet_port_connections_total{port="8080/tcp"}'), {
    what: 'Prometheus to have read the daemon',
    withinMs: 60_000,
  })
  t.equal(told, '1')
  t.equal(await value('up{job="tsnet"}'), '1')
  await prometheus.stop()
})
