/** What the daemon counts, beside what really went through, and beside what the kernel says of links. */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { CountersReport } from '../../src/observe/observe.ts'
import { withDaemon } from '../support/daemon.ts'

t.test('a daemon tells its numbers on a socket, as it was told, and nowhere else', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  const { host } = scene
  await tsnet.run('publish', '--mode', 'proxy', '8080:80', 'netns:web')
  const next = await tsnet.daemon('--replace', '--metrics', '127.0.0.1:9808')
  await waitFor(() => /metrics at 127\.0\.0\.1:9808\n/.test(next.stderr), { what: 'the metrics' })
  await host.ask('tcp', '127.0.0.1', 8080)
  const read = () => host.run('curl', '-sS', '--fail', 'http://127.0.0.1:9808/metrics')
  t.match((await read()).stdout, /^tsnet_port_connections_total\{port="8080\/tcp",.*\} 1$/m)
  // A successor has the same address.
  const last = await tsnet.daemon('--replace', '--metrics', '127.0.0.1:9808')
  await waitFor(() => last.stderr.includes('metrics at'), { what: 'the metrics of the successor' })
  t.match((await read()).stdout, /^tsnet_ports 1$/m)
  t.match(await tsnet.try('daemon', '--metrics', '0.0.0.0:9808'), {
    code: 2,
    stderr: /--metrics: "0\.0\.0\.0:9808" is not "off", a path/,
  })
})

t.test('counters tell of published ports and of containers, attached with the daemon or without', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web', 'api')
  const counters = async () => (await tsnet.ask('counters')) as CountersReport
  const { at, ports, containers } = await counters()
  t.strictSame({ ports, containers }, { ports: [], containers: [] })
  t.ok(Math.abs(at - Date.now()) < 60_000)

  const front = scene.network('front', 10)
  await front.add(scene.get('web'), { ports: [{ hostPort: 9000, containerPort: 80 }] })
  await front.add(scene.get('api'))
  await tsnet.run('publish', '--mode', 'proxy', '8080:80', '5353:80/udp', 'netns:api')
  await scene.host.ask('tcp', '127.0.0.1', 8080)
  await scene.host.ask('tcp', '127.0.0.1', 9000)
  await scene.host.ask('udp', '127.0.0.1', 5353)
  const ended = async () => {
    const { ports } = await counters()
    return ports.length === 3 && ports.every(({ active, protocol }) => active === 0 || protocol === 'udp')
  }
  await waitFor(ended, { what: 'the connections to end' })
  const report = await counters()
  const portOf = (hostPort: number) => report.ports.find(each => each.hostPort === hostPort)
  t.match(portOf(8080), {
    source: 'publish',
    protocol: 'tcp',
    containers: [{ name: 'netns:api' }],
    connections: 1,
    active: 0,
    refused: 0,
    dropped: 0,
  })
  t.ok((portOf(8080)?.bytesOut ?? 0) > 0, 'the answer')
  t.match(portOf(9000), { source: 'cni', network: 'front', containers: [{ name: 'web' }], connections: 1 })
  t.match(portOf(5353), { protocol: 'udp', connections: 1, packetsIn: 1, packetsOut: 1 })

  interface IpLink {
    ifname: string
    stats64: Record<'rx' | 'tx', { bytes: number; packets: number }>
  }
  const links = JSON.parse((await scene.host.run('ip', '-j', '-s', 'link', 'show', 'type', 'veth')).stdout)
  t.strictSame(report.containers.map(({ name }) => name).sort(), ['api', 'web'])
  for (const { owner, name, network, addresses, ...traffic } of report.containers) {
    t.equal(network, 'front')
    t.match(addresses, [/^10\.10\./, /^fd10:/])
    const link = (links as IpLink[]).find(({ ifname }) => ifname === `veth${owner.slice(0, 8)}`)
    if (link === undefined) throw new Error(`${name} has no link`)
    const { rx, tx } = link.stats64
    // Neighbours are asked for meanwhile.
    t.ok(traffic.packetsOut > 0 && traffic.packetsOut <= rx.packets && traffic.bytesOut <= rx.bytes, name)
    t.ok(traffic.packetsIn > 0 && traffic.packetsIn <= tx.packets && traffic.bytesIn <= tx.bytes, name)
  }
  await front.delete(scene.get('api'))
  t.strictSame(
    (await counters()).containers.map(({ name }) => name),
    ['web'],
  )
})
