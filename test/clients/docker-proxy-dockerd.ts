/**
 * A real dockerd with our docker-proxy, and beside it one with its own: what is published answers when it
 * should, is free when it should be, and what two hundred ports cost.
 *
 *     client eth0 ── 192.0.2.0/24 ── lan host ── docker0 ── web
 *                                     └ 127.0.0.1, ::1: by docker-proxy alone
 */

import { readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Host, lab, type World, waitFor } from 'tsnet/lab'
import { openEcho } from '../../src/lab/servers.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { inside, openNetns } from '../../src/netns/netns.ts'
import { webServer } from '../support/busybox.ts'
import { EXECUTABLE } from '../support/daemon.ts'
import { IMPLEMENTATIONS, type Implementation } from '../support/docker-proxy.ts'
import { type RangeCost, runWithRange, servers } from '../support/docker-range.ts'
import { Dockerd } from '../support/dockerd.ts'

t.setTimeout(600_000)

const RANGE = 200
const HOST = '192.0.2.1'
const costs: Partial<Record<Implementation, RangeCost>> = {}

for (const implementation of ['original', 'tsnet'] as const) {
  let world: World
  let host: Host
  let client: Host
  let docker: Dockerd

  const page = (address: string, from = host) =>
    waitFor(() => from.fetch(`http://${address}:8080/cgi-bin/who`), {
      what: `${address} to answer ${from.name}`,
    }).then(({ body }) => body.trim())

  /** Nobody answers, and anybody can have the port. */
  const free = async (t: Test) => {
    const bind = async () => {
      for (const address of ['127.0.0.1', '::1']) host.listen('tcp', 8080, address).close()
      return true
    }
    await waitFor(bind, { what: 'the port to be free' })
    for (const url of ['http://127.0.0.1:8080', 'http://[::1]:8080'])
      await t.rejects(host.fetch(url), { code: 'ECONNREFUSED' })
  }

  const answers = async () => {
    for (const address of ['127.0.0.1', '[::1]', HOST]) await page(address)
    await page(HOST, client)
  }

  t.test(`${implementation}: docker run -p, TCP and UDP, from everywhere`, async t => {
    world = await lab()
    host = await world.host('host')
    client = await world.host('client')
    world.wire([host, 'lan', `${HOST}/24`], [client, 'eth0', '192.0.2.2/24'])
    const ours = implementation === 'tsnet' ? [`--userland-proxy-path=${IMPLEMENTATIONS.tsnet}`] : []
    docker = await Dockerd.start(host, ...ours)
    await docker.web(
      'web',
      '--restart',
      'always',
      '--stop-timeout',
      '1',
      '-p',
      '8080:80',
      '-p',
      '5353:53/udp',
    )
    await answers()
    using container = openNetns(host.path(`/proc/${await docker.pid('web')}/ns/net`))
    using _echo = inside(container, () => openEcho('web', 'udp', 53, parseIp('::')))
    for (const [place, address] of [
      [host, '127.0.0.1'],
      [host, '::1'],
      [client, HOST],
    ] as const) {
      for (const text of ['one', 'two'])
        t.equal((await place.ask('udp', address, 5353, { text })).text, text, `${place.name} at ${address}`)
    }
    const names = host.processes().map(({ command }) => command)
    const proxies = names.filter(command => / -container-port /.test(command))
    t.equal(proxies.length, 4)
    t.ok(proxies.every(command => command.includes(implementation === 'tsnet' ? 'dist/drop-in' : '/usr/')))
    const { stdout } = await host.run(EXECUTABLE, 'ports', '--all', '--json')
    const by = implementation === 'tsnet' ? ['dockerd', 'proxy'] : ['dockerd']
    const web = { source: 'docker', containers: [{ name: 'web' }], state: 'serving', by }
    t.match(JSON.parse(stdout), [
      { ...web, protocol: 'udp', hostPort: 5353, target: { port: 53 } },
      { ...web, protocol: 'tcp', hostPort: 8080, target: { port: 80 } },
    ])
  })

  t.test(`${implementation}: a port in use is refused in the same words`, async t => {
    const taken = host.listen('tcp', 8090, '0.0.0.0')
    await t.rejects(
      docker.run('run', '--rm', '-p', '8090:80', 'busybox:1', ...webServer('web')),
      // From 28 on dockerd binds the port itself.
      /(rror starting userland proxy: listen tcp4|failed to bind host port for) 0\.0\.0\.0:8090.*: address already in use/,
    )
    taken.close()
    await docker.run('run', '-d', '--name', 'later', '-p', '8090:80', 'busybox:1', ...webServer('web'))
    await docker.run('rm', '-f', 'later')
  })

  t.test(`${implementation}: a container is restarted, and stopped`, async t => {
    await docker.run('restart', '-t', '0', 'web')
    await answers()
    await docker.run('stop', '-t', '0', 'web')
    await free(t)
    await docker.run('start', 'web')
    await answers()
  })

  t.test(`${implementation}: dockerd is restarted, and its containers with it`, async t => {
    await docker.down()
    await free(t)
    await docker.up()
    await answers()
    t.pass()
  })

  t.test(`${implementation}: dockerd is killed, and started again`, async t => {
    await docker.down('SIGKILL')
    await free(t)
    await page(HOST, client) // The container runs on, and rules lead to it.
    await docker.up()
    await answers()
    t.pass()
  })

  t.test(`${implementation}: dockerd is killed and comes back to containers that live`, async t => {
    await docker.down()
    docker.options = [...docker.options, '--live-restore']
    await docker.up()
    await answers()
    const pid = await docker.pid('web')
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      await docker.down(signal)
      await free(t)
      await page(HOST, client)
      await docker.up()
      await answers()
      t.equal(await docker.pid('web'), pid, 'the same container')
    }
  })

  t.test(`${implementation}: a range of ${RANGE} ports`, async t => {
    const cost = await runWithRange(docker, 'many', RANGE)
    costs[implementation] = cost
    using container = openNetns(host.path(`/proc/${await docker.pid('many')}/ns/net`))
    for (const port of [9000, 9100, 9000 + RANGE - 1]) {
      using _echo = inside(container, () => openEcho('many', 'tcp', port, parseIp('::')))
      for (const address of ['127.0.0.1', '::1'])
        t.equal((await host.ask('tcp', address, port)).place, 'many', `${address} ${port}`)
    }
    const { seconds, ownMb, pssMb, rssMb, processes } = cost
    const [own, pss, rss] = [ownMb, pssMb, rssMb].map(each => each.toFixed(0))
    t.comment(
      `${implementation}: ${seconds.toFixed(1)} s, ${own} MB of their own (PSS ${pss}, RSS ${rss} MB) in ${processes} processes`,
    )
    // All of them are told at once when dockerd dies.
    await docker.down('SIGKILL')
    await free(t)
    const left = () => servers(docker).filter(({ command }) => command.includes('-container-port'))
    await waitFor(() => left().length === 0, { what: 'all to be gone' })
    const log = implementation === 'tsnet' ? readFileSync(host.path('/run/tsnet/daemon.log'), 'utf8') : ''
    t.equal(log, '', 'the daemon had nothing to complain about')
    await world.end()
  })
}

t.test('tsnet install --docker is all that it takes, and uninstall takes it back', async t => {
  const world = await lab()
  t.teardown(() => world.end())
  const host = await world.host('host')
  await host.tmpfs('/srv', '/opt', '/etc/docker', '/etc/containerd', '/var/lib/tsnet')
  writeFileSync(host.path('/etc/docker/daemon.json'), '{ "debug": true }\n')
  const tsnet = (...words: string[]) => host.run(EXECUTABLE, ...words)
  await tsnet('install', '--docker', '--prefix', '/opt/tsnet', '--init', 'none')
  const docker = await Dockerd.start(host)
  const proxies = () => host.processes().filter(({ command }) => command.includes(' -container-port '))
  const serves = async (by: RegExp) => {
    await docker.web('web', '-p', '8080:80')
    await waitFor(() => host.fetch('http://[::1]:8080/cgi-bin/who'), { what: 'an answer' })
    t.match(
      proxies().map(({ command }) => command),
      [by, by],
    )
    await docker.run('rm', '-f', 'web')
  }
  await serves(/^\/opt\/tsnet\/libexec\/tsnet\/docker-proxy -proto/)
  await docker.down()
  await tsnet('uninstall')
  t.equal(readFileSync(host.path('/etc/docker/daemon.json'), 'utf8'), '{ "debug": true }\n')
  await docker.up()
  await serves(/^\/usr\/s?bin\/docker-proxy -proto/)
  await docker.down()
})

t.test(`${RANGE} ports take a fraction of the memory, and one process more: the daemon`, async t => {
  const { original, tsnet } = costs
  if (original === undefined || tsnet === undefined) throw new Error('there is nothing to compare')
  // Who else runs Node beside it decides how much of PSS is the daemon's.
  t.ok(tsnet.ownMb < original.ownMb / 4, `${tsnet.ownMb} MB, ${original.ownMb} MB`)
  t.equal(tsnet.processes, original.processes + 1)
})
