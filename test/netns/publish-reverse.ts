/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web, api (both families)
 *       192.168.50.2   192.168.50.1                        lonely (nothing but lo)
 *       fd50::2             fd50::1
 *
 * `tsnet publish --reverse`: a service on the host's loopback appears on that of a container, and nowhere else.
 */

import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import type { Fault } from '../../src/doctor/doctor.ts'
import type { NatBackend } from '../../src/model/network.ts'
import type { ListedPort } from '../../src/publish/list.ts'
import { Command } from '../support/daemon.ts'
import { HOST, Scene } from '../support/scene.ts'

const TRANSPORTS = ['tcp', 'udp'] as const
const LOOPBACKS = ['127.0.0.1', '::1'] as const

async function open(t: Test, config: Record<string, unknown> = {}, backend: NatBackend = 'nftables') {
  const scene = await Scene.open(backend, 'web', 'api')
  t.teardown(() => scene.close())
  const network = scene.network('front', 10, config)
  const addresses: Record<string, string[]> = {}
  for (const name of ['web', 'api']) {
    const { ips = [] } = await network.add(scene.get(name))
    addresses[name] = ips.map(({ address }) => address.split('/')[0] ?? '')
  }
  const tsnet = new Command(scene.host, backend)
  const [web, api] = [scene.get('web'), scene.get('api')]
  return { scene, network, tsnet, addresses, web, api, host: scene.host }
}

/** TCP before UDP. */
async function listed(tsnet: Command): Promise<ListedPort[]> {
  const ports: ListedPort[] = JSON.parse((await tsnet.run('ports', '--json')).stdout)
  return ports.sort((a, b) => (a.protocol < b.protocol ? -1 : 1))
}

const REFUSED = { code: 'ECONNREFUSED' }

t.test('a port of the host’s loopback appears on that of one container, and on nobody else’s', async t => {
  const { scene, network, tsnet, addresses, web, api, host } = await open(t)
  const daemon = await tsnet.daemon()
  for (const transport of TRANSPORTS) host.listen(transport, 5432, '127.0.0.1')
  // A control: what the container listens on itself, its neighbour reaches.
  for (const transport of TRANSPORTS) web.listen(transport, 16_000)
  const quiet = await rulesAndSockets(scene)

  const said = await tsnet.run('publish', '--reverse', '5432:15432', '5432:15432/udp', 'web')
  t.equal(said.stdout, '127.0.0.1:5432/tcp <- web:15432\n127.0.0.1:5432/udp <- web:15432\n')
  t.equal(said.stderr, '')
  const elsewhere = [api, host, scene.client]
  for (const transport of TRANSPORTS) {
    for (const address of LOOPBACKS) {
      const answer = await web.ask(transport, address, 15_432)
      t.match(answer, { place: 'host', peer: '127.0.0.1' }, `${transport} on ${address}`)
    }
    for (const address of addresses.web ?? [])
      t.equal(
        (await api.ask(transport, address, 16_000)).place,
        'web',
        'the neighbour reaches what web opens',
      )
    const inVain = [
      ...[...(addresses.web ?? []), ...LOOPBACKS].flatMap(address =>
        elsewhere.map(place => [place, address, 15_432] as const),
      ),
      ...(addresses.web ?? []).map(address => [web, address, 15_432] as const),
      [web, HOST[4], 5432] as const,
    ]
    await Promise.all(
      inVain.map(([place, address, port]) =>
        t.rejects(
          place.ask(transport, address, port, { withinMs: 1_000 }),
          `${transport}: ${place.name} → ${address}:${port}`,
        ),
      ),
    )
  }
  t.same(await rulesAndSockets(scene), quiet, 'the host has no rule and no socket more')

  const { stdout } = await tsnet.run('ports')
  t.match(stdout, /127\.0\.0\.1:5432\/tcp +web +15432 \(reverse\) +serving +proxy/)
  const [tcp] = await listed(tsnet)
  t.match(tcp, {
    reverse: true,
    hostIp: '127.0.0.1',
    hostPort: 5432,
    target: { port: 15_432 },
    state: 'serving',
  })
  const { bytesIn = 0, bytesOut = 0 } = tcp?.counters ?? {}
  t.ok(bytesIn > bytesOut, 'what the host answers is longer than what it is asked, and comes in')
  t.match(await tsnet.ask('counters'), { ports: [{ reverse: 15_432 }, { reverse: 15_432 }] })

  const ended = await tsnet.run('unpublish', '5432', '5432/udp')
  t.match(ended.stdout, /^127\.0\.0\.1:5432\/tcp <- web:15432 ended/)
  await t.rejects(web.ask('tcp', '127.0.0.1', 15_432), REFUSED)
  t.same(await tsnet.ports(), [])
  for (const name of ['web', 'api']) await network.delete(scene.get(name))
  await daemon.stop('SIGTERM')
  t.same(await scene.residue(isNotTheTest), [])
})

/** Its servers. */
const isNotTheTest = (line: string): boolean => !/^socket (host|web) \S+ \S+:(5432|16000) /.test(line)

/** What others see of the host. */
const rulesAndSockets = async (scene: Scene): Promise<string[]> => {
  const { stdout } = await scene.host.run('ss', '-Hlntu')
  return [
    ...stdout
      .split('\n')
      .map(line => line.trim().split(/\s+/).slice(0, 5).join(' '))
      .sort(),
    ...(await scene.host.run('nft', '-s', 'list', 'ruleset')).stdout.split('\n'),
  ]
}

t.test('a list of whom a container may reach is no wider for it, and does not stop it', async t => {
  const { tsnet, web, host, addresses } = await open(t, { egress: { allow: [] } })
  await tsnet.daemon()
  host.listen('tcp', 5432)
  host.listen('tcp', 5433)
  await tsnet.run('publish', '--reverse', '5432', 'web')
  t.equal((await web.ask('tcp', '127.0.0.1', 5432)).place, 'host')
  for (const port of [5432, 5433])
    await t.rejects(web.ask('tcp', HOST[4], port, { withinMs: 300 }), `port ${port} of the host itself`)
  await t.rejects(web.ask('tcp', addresses.api?.[0] ?? '', 80, { withinMs: 300 }), 'and its neighbour')
  await t.rejects(web.ask('tcp', '127.0.0.1', 5433), REFUSED, 'what was not published')
})

t.test('what expires is listened on no longer', async t => {
  const { tsnet, web, host } = await open(t)
  await tsnet.daemon()
  host.listen('tcp', 5432, '127.0.0.1')
  await tsnet.run('publish', '--reverse', '--expires', '3s', '5432', 'web')
  await tsnet.run('publish', '--reverse', '5432:5433', 'web')
  t.equal((await web.ask('tcp', '127.0.0.1', 5432)).place, 'host')
  await waitFor(async () => (await listed(tsnet)).length === 1, { what: 'it to expire' })
  await t.rejects(web.ask('tcp', '127.0.0.1', 5432), REFUSED)
  t.equal((await web.ask('tcp', '127.0.0.1', 5433)).place, 'host', 'the one without an end goes on')
})

t.test('the address on loopback that is said is dialled, and ranges are port by port', async t => {
  const { tsnet, web, host } = await open(t)
  await tsnet.daemon()
  host.listen('tcp', 7000, '::1')
  for (const port of [7001, 7002]) host.listen('udp', port, '127.0.0.5')
  await tsnet.run('publish', '--reverse', '[::1]:7000:7000', '127.0.0.5:7001-7002:8001-8002/udp', 'web')
  t.equal((await web.ask('tcp', '127.0.0.1', 7000)).peer, '::1')
  for (const port of [8001, 8002]) t.equal((await web.ask('udp', '::1', port)).place, 'host')
  const plain = await tsnet.run('publish', '--reverse', '7000:7010', 'web')
  t.match(plain.stderr, /nothing on this host listens on 127\.0\.0\.1:7000\/tcp; somebody does on ::1/)
})

t.test('each of several containers gets a listener of its own, and ends with itself', async t => {
  const { tsnet, web, api, host, scene } = await open(t)
  await tsnet.daemon()
  host.listen('tcp', 5432, '127.0.0.1')
  await tsnet.run('publish', '--reverse', '5432:5432', 'netns:web,netns:api')
  for (const place of [web, api]) t.equal((await place.ask('tcp', '127.0.0.1', 5432)).place, 'host')
  t.equal((await tsnet.ports()).length, 2)
  await scene.get('web').remove()
  await waitFor(async () => (await tsnet.ports()).length === 1, { what: 'that of web to end' })
  t.equal((await api.ask('tcp', '127.0.0.1', 5432)).place, 'host')
})

t.test('a container that listens there itself is not robbed of its port', async t => {
  const { tsnet, web, scene } = await open(t)
  await tsnet.daemon()
  await web.start('socat', 'TCP-LISTEN:5432,fork', 'SYSTEM:true')
  web.listen('udp', 5433)
  await waitFor(async () => (await web.run('ss', '-ltn')).stdout.includes(':5432'), {
    what: 'socat to listen',
  })
  const before = await scene.differences()
  for (const words of [[], ['--dry-run']]) {
    const refused = await tsnet.try('publish', '--reverse', ...words, '7000:7000', '5432:5432', 'web')
    t.equal(refused.code, 1)
    t.match(refused.stderr, /port 127\.0\.0\.1:5432\/tcp of web is already in use by socat \(pid \d+\)/)
    const udp = await tsnet.try('publish', '--reverse', ...words, '5433:5433/udp', 'web')
    t.match(udp, { code: 1, stderr: /5433\/udp of web is already in use/ })
  }
  t.same(await scene.differences(), before, 'nothing of it stays')
  await tsnet.run('publish', '--reverse', '7000:7000', 'web')
  const again = await tsnet.try('publish', '--reverse', '7001:7000', 'web')
  t.match(again, { code: 1, stderr: /7000\/tcp of web is already in use by tsnet publish --reverse/ })
})

t.test(
  'where nobody on the host listens, a client is turned away and counted, and doctor says so',
  async t => {
    const { tsnet, web, host } = await open(t)
    await tsnet.daemon()
    const said = await tsnet.run('publish', '--reverse', '5432:5432', 'web')
    t.match(said.stderr, /nothing on this host listens on 127\.0\.0\.1:5432\/tcp/)
    await t.rejects(web.ask('tcp', '127.0.0.1', 5432), { code: 'ECONNRESET' })
    t.match(await listed(tsnet), [{ state: 'silent', counters: { failed: 1, active: 0 } }])
    t.match(
      (await tsnet.faults()).filter(fault => fault.startsWith('listening')),
      [/port 127\.0\.0\.1:5432\/tcp: nothing on this host listens/],
    )
    host.listen('tcp', 5432, '127.0.0.1')
    t.equal((await web.ask('tcp', '127.0.0.1', 5432)).place, 'host')
    t.match(await listed(tsnet), [{ state: 'serving' }])
    t.same(
      (await tsnet.faults()).filter(fault => fault.startsWith('listening')),
      [],
    )
  },
)

/** Speaks with the host by one connection, until it is stopped. */
function talk(place: { start(...words: string[]): Running }, port: number) {
  const words = `(while sleep 0.05; do echo hello; done) | socat -T 20 - TCP:127.0.0.1:${port} 2>&1`
  const running = place.start('sh', '-c', words)
  const heard = () => running.stdout.split('\n').length
  const goesOn = async () => {
    const before = heard()
    await waitFor(() => heard() > before + 2, { what: 'it to go on' })
  }
  return { running, goesOn }
}

t.test(
  'what is connected goes on when another daemon takes over, and what a killed one served is served again',
  async t => {
    const { tsnet, web, host } = await open(t)
    const first = await tsnet.daemon()
    for (const transport of TRANSPORTS) host.listen(transport, 5432, '127.0.0.1')
    await tsnet.run('publish', '--reverse', '5432:5432', '5432:5432/udp', 'web')
    const held = talk(web, 5432)
    await held.goesOn()
    const second = await tsnet.daemon('--replace')
    t.equal((await first.finished).code, 0)
    await held.goesOn()
    t.match(await listed(tsnet), [{ counters: { active: 1 } }, {}])
    for (const transport of TRANSPORTS) t.equal((await web.ask(transport, '::1', 5432)).place, 'host')

    await second.stop('SIGKILL')
    // A control: who holds the connection is the daemon.
    await held.running.finished
    await t.rejects(web.ask('tcp', '127.0.0.1', 5432), REFUSED)
    t.match(await listed(tsnet), [{ state: 'waiting', why: 'no daemon runs' }, {}])
    const faults: Fault[] = JSON.parse((await tsnet.try('doctor', '--json')).stdout)
    t.match(
      faults.find(({ check }) => check === 'daemon')?.why,
      /nobody answers in containers .* 127\.0\.0\.1:5432/,
    )
    await tsnet.daemon()
    for (const transport of TRANSPORTS)
      for (const address of LOOPBACKS) t.equal((await web.ask(transport, address, 5432)).place, 'host')
  },
)

t.test('--replace leads to another port of the host, and whoever is connected stays', async t => {
  const { tsnet, web, host } = await open(t)
  await tsnet.daemon()
  host.listen('tcp', 5432, '127.0.0.1')
  await tsnet.run('publish', '--reverse', '5432:5432', 'web')
  const held = talk(web, 5432)
  await held.goesOn()
  await tsnet.run('publish', '--reverse', '--replace', '5433:5432', 'web')
  await t.rejects(web.ask('tcp', '127.0.0.1', 5432), { code: 'ECONNRESET' }, 'nobody is there yet')
  host.listen('tcp', 5433, '127.0.0.1')
  t.equal((await web.ask('tcp', '127.0.0.1', 5432)).place, 'host')
  await held.goesOn()
  t.match(await listed(tsnet), [{ hostPort: 5433, target: { port: 5432 }, reverse: true }])
})

t.test('a container that comes back is followed into its new namespace, kept or not', async t => {
  const { tsnet, host, scene, network } = await open(t)
  await host.tmpfs('/var/lib/tsnet')
  await tsnet.daemon()
  host.listen('tcp', 5432, '127.0.0.1')
  await tsnet.run('publish', '--reverse', '--keep', '5432:5432', 'netns:web')
  // Of an attachment the record stays until its DEL: the container is stopped, and not gone.
  await tsnet.run('publish', '--reverse', '5433:5432', 'api')
  const comesTo = async (hostPort: number, state: string) =>
    waitFor(
      async () => (await listed(tsnet)).some(each => each.hostPort === hostPort && each.state === state),
      {
        what: `port ${hostPort} to be ${state}`,
        withinMs: 30_000,
      },
    )
  for (const name of ['web', 'api']) await scene.get(name).remove()
  await comesTo(5432, 'waiting')
  await comesTo(5433, 'stopped')
  await scene.container('web')
  await comesTo(5432, 'serving')
  t.equal((await scene.get('web').ask('tcp', '127.0.0.1', 5432)).place, 'host')
  await network.delete(await scene.container('api'))
  await waitFor(async () => (await listed(tsnet)).length === 1, { what: 'that of api to end with it' })
})

t.test('a container without IPv6 has it on IPv4, and one without any loopback is told of it', async t => {
  const { tsnet, web, host } = await open(t)
  const first = await tsnet.daemon()
  host.listen('tcp', 5432, '127.0.0.1')
  await web.run('sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1')
  await tsnet.run('publish', '--reverse', '5432:5432', 'web')
  t.equal((await web.ask('tcp', '127.0.0.1', 5432)).place, 'host')
  await tsnet.daemon('--replace')
  await first.finished
  t.equal((await web.ask('tcp', '127.0.0.1', 5432)).place, 'host')
  await web.run('ip', 'address', 'flush', 'dev', 'lo')
  const refused = await tsnet.try('publish', '--reverse', '5433:5433', 'web')
  t.match(refused, { code: 1, stderr: /web has no address of loopback/ })
})

t.test('with several workers each has listeners in the container, and they are handed over', async t => {
  const { tsnet, web, host } = await open(t)
  const settings = host.path('/run/workers.json')
  writeFileSync(settings, JSON.stringify({ workers: 3 }))
  const config = ['--config', '/run/workers.json']
  const first = await tsnet.daemon(...config)
  for (const transport of TRANSPORTS) host.listen(transport, 5432, '127.0.0.1')
  await tsnet.run('publish', '--reverse', '5432:5432', '5432:5432/udp', 'web')
  const answer = async () => {
    for (const transport of TRANSPORTS)
      for (let i = 0; i < 9; i++) t.equal((await web.ask(transport, '127.0.0.1', 5432)).place, 'host')
  }
  await answer()
  // Nobody in the container shares the port, though sockets of one user may.
  const socat = 'socat TCP-LISTEN:5432,bind=127.0.0.1,reuseport,reuseaddr SYSTEM:true'
  t.match((await web.run('sh', '-c', `${socat} 2>&1 || true`)).stdout, /Address already in use/)
  await tsnet.daemon('--replace', ...config)
  t.equal((await first.finished).code, 0)
  await answer()
})

t.test(
  'what is connected may finish when it is unpublished, and what is not is refused meanwhile',
  async t => {
    const { tsnet, web, host } = await open(t)
    await tsnet.daemon()
    const service = host.listen('tcp', 5432, '127.0.0.1')
    await tsnet.run('publish', '--reverse', '--drain', '1m', '5432:5432', 'web')
    const held = talk(web, 5432)
    await held.goesOn()
    const ending = tsnet.run('unpublish', 'web')
    await waitFor(async () => (await listed(tsnet))[0]?.state === 'ending', { what: 'it to end' })
    // It is written down before the listeners are closed.
    const isRefused = () =>
      web.ask('tcp', '127.0.0.1', 5432).then(
        () => false,
        ({ code }) => code === REFUSED.code,
      )
    await waitFor(isRefused, { what: 'others to be refused' })
    await held.goesOn()
    service.close()
    t.match((await ending).stdout, /ended; 1 connection finished/)
  },
)
