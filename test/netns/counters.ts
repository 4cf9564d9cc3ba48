/** What the daemon counts, beside what really went through, and beside what the kernel says of links. */

import { readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import type { CountersReport } from '../../src/observe/observe.ts'
import { type Command, withDaemon } from '../support/daemon.ts'
import { HOST, type Scene } from '../support/scene.ts'
import { linesIn, pictureOf, shapeOf } from '../support/terminal-picture.ts'

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

/** What `tsnet top` shows of it while clients ask; PICTURES=docs has it write the picture of docs/operations.md. */
async function picture(t: Test, scene: Scene, tsnet: Command): Promise<void> {
  let isOver = false
  const showing = tsnet.run('top', '--once', '--interval', '1s').finally(() => {
    isOver = true
  })
  while (!isOver)
    await Promise.all([
      ...[8080, 9000].map(port => scene.client.ask('tcp', HOST[4], port)),
      scene.client.ask('udp', HOST[4], 5353),
    ])
  const { stdout } = await showing
  const svg = pictureOf('tsnet top', stdout.trimEnd().split('\n'))
  const { PICTURES } = process.env
  if (PICTURES !== undefined) writeFileSync(`${PICTURES}/top.svg`, svg)
  const shown = linesIn(readFileSync('docs/top.svg', 'utf8'))
  t.strictSame(shapeOf(shown), shapeOf(linesIn(svg)), 'the picture in the documents shows what is shown')
  t.match(stdout, /^8080\/tcp netns:api +\d+ +[1-9]\d* +[1-9]/m, 'connections come in')
}

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
  await picture(t, scene, tsnet)
  await front.delete(scene.get('api'))
  t.strictSame(
    (await counters()).containers.map(({ name }) => name),
    ['web'],
  )
})
