/**
 *     client eth0 ───────────── lan0 host ─── web, api (namespaces without a network)
 *       192.168.50.2   192.168.50.1
 *       fd50::2             fd50::1
 *
 * What can be said to `tsnet publish`, option by option.
 */

import { isIPv4 } from 'node:net'
import t from 'tap'
import { type Namespace, type Place, waitFor } from 'tsnet/lab'
import { openBound } from '../../src/lab/sockets.ts'
import type { Ip } from '../../src/model/address/address.ts'
import type { Publication } from '../../src/model/publication/publication.ts'
import { withDaemon } from '../support/daemon.ts'
import { CLIENT, HOST } from '../support/scene.ts'
import { serve } from '../support/streams.ts'

const BOTH = [HOST[4], HOST[6]] as const

const inUrl = (address: string): string => (isIPv4(address) ? address : `[${address}]`)
const refused = { code: 'ECONNREFUSED' }

/** Sends a text to a port from a place, and returns what comes back. */
const say = async (place: Place, address: string, port: number, text: string): Promise<string> =>
  (await place.run('socat', '-t5', '-', `TCP:${inUrl(address)}:${port}`, { stdin: text })).stdout

const serveIn = (place: Namespace, port: number, onConnection: Parameters<typeof serve>[0]) =>
  serve(onConnection, { fd: place.inside(() => openBound('tcp', '::' as Ip, port)) })

const hex = (address: string): string =>
  isIPv4(address)
    ? Buffer.from(address.split('.').map(Number)).toString('hex')
    : address.replace('::', '0'.repeat(32 - address.replace('::', '').length))

t.test('--proxy-protocol tells the application who asks, in front of the stream', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  let heard = Buffer.alloc(0)
  await using _server = await serveIn(scene.get('web'), 81, socket => {
    heard = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk])
    })
    socket.on('end', () => socket.end('heard'))
  })
  await tsnet.run('publish', '--proxy-protocol', 'v1', '8081:81', 'netns:web')
  await tsnet.run('publish', '--proxy-protocol', 'v2', '8082:81', 'netns:web')
  for (const [family, name, kind, length] of [
    [4, 'TCP4', '11', '000c'],
    [6, 'TCP6', '21', '0024'],
  ] as const) {
    t.equal(await say(scene.client, HOST[family], 8081, 'hello'), 'heard')
    const line = new RegExp(`^PROXY ${name} ${CLIENT[family]} ${HOST[family]} \\d+ 8081\r\nhello$`)
    t.match(heard.toString('latin1'), line)
    t.equal(await say(scene.client, HOST[family], 8082, 'hello'), 'heard')
    const head = `0d0a0d0a000d0a515549540a21${kind}${length}${hex(CLIENT[family])}${hex(HOST[family])}`
    t.match(
      heard.toString('hex'),
      new RegExp(`^${head}[0-9a-f]{4}1f92${Buffer.from('hello').toString('hex')}$`),
    )
  }
})

t.test('--max-connections resets who is too many, and nobody else', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  await using server = await serveIn(scene.get('web'), 81, () => {})
  await tsnet.run('publish', '--max-connections', '2', '8081:81', '8080:80', 'netns:web')
  const held = [1, 2].map(() => scene.client.start('socat', '-u', `TCP:${HOST[4]}:8081`, 'STDOUT'))
  await waitFor(() => server.sockets.length === 2, { what: 'two connections' })
  await t.rejects(scene.client.ask('tcp', HOST[4], 8081), { code: 'ECONNRESET' })
  t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'web', 'each port has its own count')
  await held[0]?.stop('SIGKILL')
  server.sockets[0]?.destroy()
  await waitFor(
    async () => (await tsnet.ports()).find(each => each.hostPort === 8081)?.counters?.active === 1,
    {
      what: 'the end of one to be noticed',
    },
  )
  const next = scene.client.start('socat', '-u', `TCP:${HOST[4]}:8081`, 'STDOUT')
  await waitFor(() => server.sockets.length === 3, { what: 'the next one to be served' })
  await next.stop('SIGKILL')
})

t.test('--udp-sessions and --udp-idle say how many UDP clients there are, and for how long', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  const { host } = scene
  const limits = ['--udp-sessions', '2', '--udp-idle', '1s']
  await tsnet.run('publish', ...limits, '8081:80/udp', 'netns:web')
  for (const fromPort of [6001, 6002, 6003, 6001]) await host.ask('udp', '127.0.0.1', 8081, { fromPort })
  const [published] = await tsnet.ports()
  t.match(published, {
    maxSessions: 2,
    sessionIdleMs: 1000,
    counters: { accepted: 4, active: 2, evicted: 2 },
  })
  await waitFor(async () => (await tsnet.ports())[0]?.counters?.active === 0, {
    what: 'both to be forgotten',
  })
  for (const [words, reason] of [
    [['--udp-sessions', '0', '8082:80/udp'], /--udp-sessions: "0" is not a number from 1 on/],
    [['--udp-idle', '0s', '8082:80/udp'], /--udp-idle: a session has to last/],
    [['--udp-idle', '1m', '8082:80'], /are for UDP ports, such as 53:53\/udp/],
    [['--mode', 'nat', '--udp-sessions', '5', '8082:80/udp'], /--mode nat: --udp-sessions needs the proxy/],
  ] as const) {
    t.match(await tsnet.try('publish', ...words, 'netns:web'), { code: 2, stderr: reason }, words.join(' '))
  }
})

t.test('--drain lets connections finish after unpublish', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  await using server = await serveIn(scene.get('web'), 81, socket => void socket.write('first half, '))
  await tsnet.run('publish', '--drain', '20s', '--mode', 'proxy', '8081:81', 'netns:web')
  const download = scene.client.run('socat', '-u', `TCP:${HOST[4]}:8081`, 'STDOUT')
  await waitFor(() => server.sockets.length === 1, { what: 'the download to begin' })
  const ended = tsnet.run('unpublish', '8081')
  const isRefused = () =>
    scene.host.ask('tcp', '127.0.0.1', 8081, { withinMs: 200 }).catch(({ code }) => code)
  await waitFor(async () => (await isRefused()) === 'ECONNREFUSED', { what: 'new ones to be refused' })
  server.sockets[0]?.end('second half')
  // Those who asked before the port was closed.
  for (const socket of server.sockets.slice(1)) socket.destroy()
  t.equal((await download).stdout, 'first half, second half')
  await ended
  t.same(await tsnet.ports(), [])
})

t.test('a unix socket in a container is published by the path that it has there', async t => {
  const { scene, tsnet } = await withDaemon(t)
  const { host } = scene
  const app = await host.namespace('app')
  const script = 'mount -t tmpfs tmpfs /mnt && exec socat UNIX-LISTEN:/mnt/app.sock,fork EXEC:rev'
  app.start('unshare', '-m', 'sh', '-c', script)
  const pid = await waitFor(
    () => host.processes().find(({ command }) => command.startsWith('socat UNIX-LISTEN'))?.pid,
    { what: 'the application' },
  )
  await waitFor(() => host.run('test', '-S', `/proc/${pid}/root/mnt/app.sock`), { what: 'its socket' })
  t.equal((await host.run('test', '-e', '/mnt/app.sock', { mayFail: true })).code, 1, 'not on the host')
  await tsnet.run('publish', '8080:/mnt/app.sock', `pid:${pid}`)
  for (const address of BOTH) t.equal(await say(scene.client, address, 8080, 'stressed\n'), 'desserts\n')
  t.equal((await tsnet.ports())[0]?.containers[0]?.pid, pid)
  const nowhere = await tsnet.try('publish', '8081:/mnt/app.sock', 'netns:app')
  t.equal(nowhere.code, 2)
  t.match(nowhere.stderr, /netns:app names no process, so \/mnt\/app\.sock cannot be found/)
})

t.test('--allow and --deny tell IPv6 clients apart too', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  const { client } = scene
  await tsnet.run('publish', '--deny', CLIENT[6], '8080:80', '8080:80/udp', 'netns:web')
  await tsnet.run('publish', '--allow', 'fd50::/64', '8081:80', '8081:80/udp', 'netns:web')
  for (const protocol of ['tcp', 'udp'] as const) {
    const options = { withinMs: 500 }
    t.equal((await client.ask(protocol, HOST[4], 8080)).place, 'web')
    await t.rejects(client.ask(protocol, HOST[6], 8080, options))
    t.equal((await client.ask(protocol, HOST[6], 8081)).place, 'web')
    await t.rejects(client.ask(protocol, HOST[4], 8081, options))
  }
})

t.test('a UDP reply comes from the address that was asked, also a secondary one', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  scene.host.address('lan0', '192.168.50.3/24', 'fd50::3/64')
  await tsnet.run('publish', '--mode', 'proxy', '8080:80/udp', 'netns:web')
  for (const address of [...BOTH, '192.168.50.3', 'fd50::3'])
    t.equal((await scene.client.ask('udp', address, 8080)).place, 'web', address)
})

t.test('a host port is one of a range that is free, or any, and one below 1024 for root', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  for (const port of [8000, 8001, 8003]) scene.host.listen('tcp', port)
  const published = async (...words: string[]): Promise<number> => {
    const { stdout } = await tsnet.run('publish', '--json', ...words, 'netns:web')
    const [{ hostPort }] = JSON.parse(stdout) as [Publication]
    t.equal((await scene.client.ask('tcp', HOST[4], hostPort)).place, 'web', `${words} → ${hostPort}`)
    return hostPort
  }
  t.equal(await published('8000-8003:80'), 8002)
  const full = await tsnet.try('publish', '8000-8003:80', 'netns:web')
  t.equal(full.code, 1)
  t.match(full.stderr, /port 8003\/tcp is already in use/)
  const [low, high] = (await scene.host.run('cat', '/proc/sys/net/ipv4/ip_local_port_range')).stdout
    .split(/\s+/)
    .map(Number)
  const chosen = [await published('80'), await published('80')]
  t.not(chosen[0], chosen[1])
  for (const port of chosen) t.ok(port >= (low ?? 0) && port <= (high ?? 0))
  t.equal(await published('443:80'), 443)
})

t.test('several ports are published together or not at all', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  scene.host.listen('udp', 8092)
  const { code } = await tsnet.try('publish', '8090:80', '8091:80/udp', '8092:80/udp', 'netns:web')
  t.equal(code, 1)
  t.same(await tsnet.ports(), [])
  await t.rejects(scene.client.ask('tcp', HOST[4], 8090), refused)
  await t.rejects(scene.client.ask('udp', HOST[4], 8091), refused)
  await tsnet.run('publish', '8090:80', '8091:80/udp', 'netns:web')
  t.equal((await tsnet.ports()).length, 2)
})
