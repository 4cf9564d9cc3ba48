/**
 * Placeholders and the daemon: what becomes of ports when one or the other goes, comes back, is replaced, or
 * was never there. Played by the C program, and by the script that stands in for it.
 */

import { readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Host, lab, waitFor } from 'tsnet/lab'
import { tryLockFile } from '../../src/ffi/lock.ts'
import { Command } from '../support/daemon.ts'
import { DockerProxy, flags, IMPLEMENTATIONS, type Implementation } from '../support/docker-proxy.ts'
import { memoryOf } from '../support/memory.ts'
import { openings } from '../support/openings.ts'

const CONTAINER = '127.0.0.2'

/** The C program's ports are the proxy's alone, the script's are redirected. */
async function open(
  t: Test,
  implementation: 'tsnet' | 'script' = 'tsnet',
): Promise<{ host: Host; tsnet: Command }> {
  const world = await lab()
  t.teardown(() => world.end())
  const host = await world.host('host')
  host.listen('tcp', 80, CONTAINER)
  host.listen('udp', 80, CONTAINER)
  return { host, tsnet: new Command(host, 'iptables', {}, implementation === 'script' ? 'on' : 'off') }
}

const daemons = (host: Host) => host.processes().filter(({ command }) => / daemon/.test(command))

const answers = (host: Host, port = 8080) =>
  host.ask('tcp', '127.0.0.1', port, { withinMs: 10_000 }).then(({ text }) => text)

const refuses = (host: Host, port = 8080) =>
  waitFor(
    () =>
      host.ask('tcp', '127.0.0.1', port).then(
        () => false,
        thrown => thrown.code === 'ECONNREFUSED',
      ),
    { what: 'the port to be free' },
  )

for (const implementation of ['tsnet', 'script'] as const satisfies Implementation[]) {
  const up = (host: Host, args = flags({ to: CONTAINER }), part = {}) =>
    DockerProxy.up(host, implementation, args, part)

  t.test(`${implementation}: the daemon is killed, and clients wait for the next`, async t => {
    const { host, tsnet } = await open(t, implementation)
    const daemon = await tsnet.daemon()
    const proxy = await up(host)
    await daemon.stop('SIGKILL')
    // The socket is the placeholder's too: nobody is refused.
    t.equal(await answers(host), 'hello')
    t.equal(daemons(host).length, 1)
    t.match(await proxy.stop(), { code: 0 })
    await refuses(host)
  })

  t.test(`${implementation}: a daemon takes over from another, with what is connected`, async t => {
    const { host, tsnet } = await open(t, implementation)
    let daemon = await tsnet.daemon()
    const proxies = [await up(host), await up(host, flags({ proto: 'udp', to: CONTAINER }))]
    const client = host.start(
      'sh',
      '-c',
      '(echo one; sleep 1; echo two; sleep .2) | socat - TCP:127.0.0.1:8080',
    )
    await waitFor(() => client.stdout.includes('one'), { what: 'the first answer' })
    for (let i = 0; i < 3; i++) {
      const before = daemon
      daemon = await tsnet.daemon('--replace')
      t.equal(await answers(host), 'hello')
      t.equal((await before.finished).code, 0)
    }
    t.match((await client.finished).stdout, /two/)
    t.equal((await host.ask('udp', '127.0.0.1', 8080)).text, 'hello')
    for (const proxy of proxies) t.match(await proxy.stop(), { code: 0 })
    await refuses(host)
    t.equal((await daemon.stop()).code, 0)
  })

  t.test(`${implementation}: a placeholder that dies while daemons change takes its port along`, async t => {
    const { host, tsnet } = await open(t, implementation)
    const daemon = await tsnet.daemon()
    const proxy = await up(host)
    const replaced = tsnet.daemon('--replace')
    await proxy.stop('KILL')
    await Promise.all([replaced, daemon.finished])
    await waitFor(() => refuses(host).then(() => true), { what: 'the port to be free' })
    await up(host)
    t.equal(await answers(host), 'hello')
  })

  t.test(`${implementation}: dockerd's own socket is served, whatever its address`, async t => {
    const { host } = await open(t, implementation)
    for (const [transport, ip] of [
      ['tcp', '127.0.0.1'],
      ['tcp', '::1'],
      ['udp', '127.0.0.1'],
      ['udp', '::1'],
    ] as const) {
      const proxy = await up(
        host,
        ['-use-listen-fd', ...flags({ proto: transport, hostIp: ip, to: CONTAINER })],
        { listen: { transport, ip, port: 8080 } },
      )
      t.equal((await host.ask(transport, ip, 8080)).text, 'hello', `${transport} ${ip}`)
      t.match(await proxy.stop(), { code: 0 })
    }
    const wrong = new DockerProxy(host, implementation, ['-use-listen-fd', ...flags({ to: CONTAINER })])
    t.match(await wrong.status(), /^1\n/, 'where there is none')
    t.match(await wrong.ended(), { code: 1 })
  })

  t.test(`${implementation}: without a descriptor 3 it just runs`, async t => {
    const { host } = await open(t, implementation)
    const proxy = new DockerProxy(host, implementation, flags({ to: CONTAINER }), { mute: true })
    await waitFor(() => answers(host), { what: 'an answer' })
    t.match(await proxy.stop('INT'), { code: 0 })
  })

  t.test(`${implementation}: in another network namespace the port and the container are there`, async t => {
    const { host, tsnet } = await open(t, implementation)
    await tsnet.daemon()
    const place = await host.namespace('rootless')
    place.listen('tcp', 80, CONTAINER)
    await up(host, undefined, { before: ['nsenter', `-n${place.path}`, '-F', '--'] })
    t.equal((await place.ask('tcp', '127.0.0.1', 8080)).place, 'rootless')
    await refuses(host)
  })

  t.test(`${implementation}: a protocol that there is not is said to dockerd`, async t => {
    const { host } = await open(t, implementation)
    const proxy = new DockerProxy(host, implementation, flags({ proto: 'quic' }))
    t.equal(await proxy.status(), '1\nunsupported protocol quic')
    t.match(await proxy.ended(), { code: 1 })
    t.match(await new DockerProxy(host, implementation, ['-version']).ended(), {
      code: 0,
      stdout: /^docker-proxy \(tsnet\) version \d/,
    })
    t.same(daemons(host), [], 'nothing was started for it')
  })

  t.test(
    `${implementation}: whose turn it is to start a daemon has the file that bears the name`,
    async t => {
      const { host } = await open(t, implementation)
      await host.run('mkdir', '-m', '700', '/run/tsnet')
      const path = host.path('/run/tsnet/start.lock')
      const first = tryLockFile(path, { removeAfter: true })
      using waits = openings(path)
      const proxy = new DockerProxy(host, implementation, flags({ to: CONTAINER }))
      await waitFor(() => waits.happened(), { what: 'it to wait for its turn', withinMs: 60_000 })
      // Another has made a file of that name by the time that the first one lets go of his.
      rmSync(path)
      const second = tryLockFile(path, { removeAfter: true })
      using again = openings(path)
      first?.leave()
      await waitFor(() => again.happened(), { what: 'it to wait for the other', withinMs: 60_000 })
      t.same(daemons(host), [], 'it is not its turn')
      second?.[Symbol.dispose]()
      t.equal(await proxy.status(), '0\n')
      t.equal(daemons(host).length, 1)
      t.match(await proxy.stop(), { code: 0 })
    },
  )

  t.test(`${implementation}: where no daemon can be started dockerd is told, and nothing stays`, async t => {
    const { host } = await open(t, implementation)
    await host.run('sh', '-c', 'mkdir -p /run/etc && echo nonsense > /run/etc/tsnetd.json')
    await host.run('mkdir', '-p', '/run/tsnet/daemon.lock')
    const proxy = new DockerProxy(host, implementation, flags({ to: CONTAINER }))
    t.match(await proxy.status(), /^1\nthe daemon did not start: /)
    t.match(await proxy.ended(), { code: 1 })
    await refuses(host)
  })
}

t.test('several workers share the one socket, and UDP is with one of them', async t => {
  const { host, tsnet } = await open(t)
  writeFileSync(host.path('/run/two.json'), '{"workers":2}')
  const settings = ['--config', '/run/two.json']
  let daemon = await tsnet.daemon(...settings)
  const proxies = [await DockerProxy.up(host, 'tsnet', flags({ to: CONTAINER }))]
  for (const hostPort of [8080, 8081])
    proxies.push(await DockerProxy.up(host, 'tsnet', flags({ proto: 'udp', hostPort, to: CONTAINER })))
  for (let round = 0; round < 2; round++) {
    await Promise.all(Array.from({ length: 20 }, () => answers(host)))
    for (const port of [8080, 8081]) {
      const ask = () => host.ask('udp', '127.0.0.1', port, { fromPort: 5000 + round })
      const sources = [await ask(), await ask(), await ask()].map(({ peerPort }) => peerPort)
      t.equal(new Set(sources).size, 1, 'one client is one session')
    }
    if (round === 0) daemon = await tsnet.daemon('--replace', ...settings)
  }
  for (const proxy of proxies) t.match(await proxy.stop(), { code: 0 })
  await refuses(host)
  t.equal((await daemon.stop()).code, 0)
})

t.test('the daemon that it starts has nothing of dockerd, and ends when nobody needs it', async t => {
  const { host } = await open(t)
  // As a service manager leaves dockerd: hardly any environment, and a word about who is ready.
  const env = {
    PATH: process.env.PATH ?? '',
    NOTIFY_SOCKET: '/run/none',
    LISTEN_FDS: '1',
    TSNET_NAT: 'iptables',
  }
  const proxy = await DockerProxy.up(host, 'tsnet', flags({ to: CONTAINER }), { env, cwd: '/run' })
  const [daemon] = daemons(host)
  const proc = host.path(`/proc/${daemon?.pid}`)
  t.equal(readlinkSync(`${proc}/cwd`), '/')
  const names = readFileSync(`${proc}/environ`, 'utf8')
    .split('\0')
    .map(each => each.split('=')[0])
  // The launcher has its own word for Node's memory.
  t.same(names.filter(name => name !== '' && name !== 'MALLOC_ARENA_MAX').sort(), ['PATH', 'TSNET_NAT'])
  t.equal(daemon?.parent, 1)
  t.match(daemon?.command, / daemon --idle 1m$/)
  await proxy.stop()
  // The same, with less patience.
  await host.run('kill', '-9', String(daemon?.pid))
  const brief = await new Command(host, 'iptables').daemon('--idle', '300ms')
  const second = await DockerProxy.up(host, 'tsnet', flags({ to: CONTAINER }))
  await new Promise(resolve => setTimeout(resolve, 600))
  t.equal(await answers(host), 'hello', 'it is needed')
  await second.stop()
  t.equal((await brief.finished).code, 0)
  t.match(brief.stderr, /not needed: stopping/)
})

t.test('two hundred that start at once have one daemon, and each takes next to nothing', async t => {
  const { host } = await open(t)
  const began = performance.now()
  const proxies = Array.from({ length: 200 }, (_, i) =>
    flags({ hostPort: 8000 + i, to: CONTAINER }).join(' '),
  )
  const line = 'while read -r args; do "$0" $args 3>>/run/status & done; wait'
  const parent = host.start('sh', '-c', line, IMPLEMENTATIONS.tsnet, {
    stdin: `${proxies.join('\n')}\n`,
  })
  const ready = async () => (await host.run('cat', '/run/status')).stdout === '0\n'.repeat(200)
  await waitFor(ready, { what: 'all to be ready' })
  t.comment(`${Math.round(performance.now() - began)} ms for 200 placeholders and a daemon`)
  t.equal(daemons(host).length, 1)
  t.match(readFileSync(host.path('/run/tsnet/daemon.log'), 'utf8'), /^$/, 'no other was tried')
  for (const port of [8000, 8100, 8199]) t.equal(await answers(host, port), 'hello')
  const own = host.processes().filter(({ command }) => command.includes('-host-port'))
  t.equal(own.length, 200)
  const memory = own.map(({ pid }) => memoryOf(host.path(`/proc/${pid}`)))
  const most = Math.max(...memory.map(({ pssKb }) => pssKb))
  t.comment(`${most} KB is the most that a placeholder takes (PSS)`)
  t.ok(most < 1024)
  // All of them and the daemon go, and others have the ports.
  await host.run('kill', ...own.map(({ pid }) => String(pid)))
  await parent.finished
  for (const port of [8000, 8100, 8199]) await refuses(host, port)
})

t.test('while no daemon can be started, placeholders take turns trying', async t => {
  const { host, tsnet } = await open(t)
  const daemon = await tsnet.daemon()
  const proxies = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      DockerProxy.up(host, 'tsnet', flags({ hostPort: 8080 + i, to: CONTAINER })),
    ),
  )
  await daemon.stop('SIGKILL')
  await host.run('sh', '-c', 'rm -f /run/tsnet/daemon.lock && mkdir /run/tsnet/daemon.lock')
  const log = () => readFileSync(host.path('/run/tsnet/daemon.log'), 'utf8')
  await waitFor(() => log().includes('daemon.lock'), { what: 'a first try' })
  let most = 0
  const until = performance.now() + 3000
  await waitFor(
    () => {
      most = Math.max(most, daemons(host).length)
      return performance.now() > until
    },
    { what: 'some tries' },
  )
  t.ok(most <= 1, `${most} at once`)
  await host.run('rmdir', '/run/tsnet/daemon.lock')
  t.equal(await answers(host, 8089), 'hello', 'who asked meanwhile is served')
  for (const proxy of proxies) t.match(await proxy.stop(), { code: 0 })
})
