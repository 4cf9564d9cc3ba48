/** Sockets and connections that go from one proxy to another, or stand still for a while. */

import { randomBytes } from 'node:crypto'
import { openSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { copyDescriptor, openProcess } from '../../src/ffi/pidfd.ts'
import type { FrozenClient } from '../../src/proxy/proxy.ts'
import { openUdp } from '../support/datagrams.ts'
import { LOOPBACK, type Published, TestProxy, talking } from '../support/published.ts'
import { closedPort, connect, echo, exchange, outcome, readAll, serve } from '../support/streams.ts'

// What another process would do, within one.
const ourselves = openProcess(process.pid)
const copy = (fd: number) => copyDescriptor(ourselves, fd)

const copied = (each: FrozenClient): FrozenClient => ({
  ...each,
  ...(each.kind === 'connection' && { client: copy(each.client) }),
  ...(each.target !== undefined && { target: copy(each.target) }),
})

/** Publishes the same with sockets of another proxy. */
function succeed(
  from: TestProxy,
  web: Published,
  to: TestProxy,
  target: number,
  protocol: 'tcp' | 'udp' = 'tcp',
) {
  const targets = [{ ip: LOOPBACK, port: target }]
  const sockets = from.proxy.sockets(web.id).map(each => each.map(copy))
  to.proxy.publish({ id: web.id, protocol, hostPort: web.port, count: 1, targets }, sockets)
}

t.test('connections in every state go on in another proxy, and nothing is lost', async t => {
  await using server = await serve(echo)
  await using old = new TestProxy()
  await using fresh = new TestProxy({ workers: 1 })
  const web = old.publish(server.port, { options: { waitMs: 20_000 } })
  const idle = await connect(web.port)
  const ended = await connect(web.port)
  ended.end('the end was passed on')
  const full = await connect(web.port)
  full.pause()
  const bytes = randomBytes(24 << 20)
  full.end(bytes)
  await waitFor(() => server.sockets.length === 3 && web.counters().bytesOut > 0, {
    what: 'all to be connected',
  })

  const frozen = await old.proxy.freeze()
  const late = connect(web.port)
  t.equal(frozen.filter(({ target }) => target !== undefined).length, frozen.length)
  succeed(old, web, fresh, server.port)
  await fresh.proxy.thaw(frozen.map(copied))
  await old.proxy.close()

  idle.end('hello')
  t.equal(String(await readAll(idle)), 'hello')
  t.equal(String(await readAll(ended)), 'the end was passed on')
  t.ok((await readAll(full.resume())).equals(bytes), 'what was in flight, and the rest')
  const client = await late
  client.end('came meanwhile')
  t.equal(String(await readAll(client)), 'came meanwhile')
  await waitFor(() => fresh.proxy.counters().get(web.id)?.active === 0, { what: 'all to be gone' })
})

t.test('a client who waits for a target goes on waiting in another proxy', async t => {
  await using old = new TestProxy()
  await using fresh = new TestProxy()
  const target = await closedPort()
  const options = { waitMs: 20_000 }
  const web = old.publish(target, { options })
  const client = await connect(web.port)
  client.end('patient')
  await waitFor(() => web.counters().active === 1, { what: 'the client' })
  const frozen = await old.proxy.freeze()
  t.equal(frozen.length, 1)
  t.notOk('target' in (frozen[0] ?? {}))
  const sockets = old.proxy.sockets(web.id).map(each => each.map(copy))
  const targets = [{ ip: LOOPBACK, port: target }]
  fresh.proxy.publish(
    { id: web.id, protocol: 'tcp', hostPort: web.port, count: 1, targets, options },
    sockets,
  )
  await fresh.proxy.thaw(frozen.map(copied))
  await old.proxy.close()
  await using _server = await serve(echo, { host: '127.0.0.1', port: target })
  t.equal(String(await readAll(client)), 'patient')
})

t.test('a proxy that stood still goes on itself; what was withdrawn meanwhile stays so', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy()
  const web = proxy.publish(server.port)
  const other = proxy.publish(server.port)
  const client = await talking(web, 'before ')
  const frozen = await proxy.proxy.freeze()
  client.write('meanwhile ')
  await proxy.proxy.withdraw(other.id)
  await proxy.proxy.thaw(frozen)
  client.end('after')
  t.equal(String(await readAll(client)), 'before meanwhile after')
  t.equal(String(await exchange(web.port, 'new')), 'new')
  t.equal(await outcome(other.port), 'ECONNREFUSED')
})

t.test('a withdrawal goes on while everything else stands still', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy()
  const web = proxy.publish(server.port)
  const client = await talking(web, 'x')
  const withdrawn = proxy.proxy.withdraw(web.id, { drainMs: 20_000 })
  t.strictSame(await proxy.proxy.freeze(), [])
  client.end('y')
  t.equal(String(await readAll(client)), 'xy')
  await withdrawn
  await proxy.proxy.thaw([])
})

t.test('UDP sessions go on in another proxy, and a reply that was on its way arrives', async t => {
  await using server = await openUdp()
  await using old = new TestProxy()
  await using fresh = new TestProxy()
  const web = old.publish(server.port, { protocol: 'udp' })
  await using v4 = await openUdp()
  await using v6 = await openUdp('::1')
  v4.send('1', web.port, '127.0.0.2')
  v6.send('1', web.port, '::1')
  await waitFor(() => server.heard.length === 2, { what: 'the first questions' })
  const ports = server.heard.map(({ from }) => from.port)

  const frozen = await old.proxy.freeze()
  t.equal(frozen.length, 2)
  for (const port of ports) server.send('late', port, '127.0.0.1')
  v4.send('2', web.port, '127.0.0.2')
  succeed(old, web, fresh, server.port, 'udp')
  await fresh.proxy.thaw(frozen.map(copied))
  await old.proxy.close()

  await waitFor(() => v4.heard.length + v6.heard.length === 2, { what: 'the replies to both' })
  t.match(v4.heard[0], { text: 'late', from: { address: '127.0.0.2', port: web.port } })
  t.match(v6.heard[0], { text: 'late', from: { address: '::1', port: web.port } })
  v6.send('2', web.port, '::1')
  await waitFor(() => server.heard.length === 4, { what: 'the second questions' })
  t.strictSame(new Set(server.heard.map(({ from }) => from.port)), new Set(ports), 'the same two sessions')
  t.equal(fresh.proxy.counters().get(web.id)?.active, 2)
})

t.test('UDP sessions are as idle in another proxy as they were, and keep their order', async t => {
  await using server = await openUdp()
  await using old = new TestProxy()
  await using fresh = new TestProxy()
  const options = { maxSessions: 3 }
  const web = old.publish(server.port, { protocol: 'udp', options })
  const clients = await Promise.all(Array.from({ length: 4 }, () => openUdp()))
  const [a, b, c, late] = clients
  if (!a || !b || !c || !late) throw new Error('nobody')
  t.teardown(() => Promise.all(clients.map(each => each[Symbol.asyncDispose]())))
  // Used in the order b, c, a, which is not that in which they came, nor that of their addresses.
  for (const [count, client] of [a, b, c, a].entries()) {
    client.send('x', web.port, '127.0.0.1')
    await waitFor(() => server.heard.length === count + 1, { what: 'the question' })
    server.send('y', server.heard[count]?.from.port ?? 0, '127.0.0.1')
    await waitFor(() => client.heard.length > (count === 3 ? 1 : 0), { what: 'the answer' })
    await new Promise(resolve => setTimeout(resolve, 20)) // so long it is idle
  }
  const frozen = await old.proxy.freeze()
  const idle = frozen.flatMap(each => (each.kind === 'session' ? [each.idleMs ?? 0] : []))
  t.ok(Math.min(...idle) >= 15 && Math.max(...idle) >= 55, `idle for ${idle} ms`)
  const sockets = old.proxy.sockets(web.id).map(each => each.map(copy))
  const targets = [{ ip: LOOPBACK, port: server.port }]
  fresh.proxy.publish(
    { id: web.id, protocol: 'udp', hostPort: web.port, count: 1, targets, options },
    sockets,
  )
  // Whatever the order in which they are told.
  await fresh.proxy.thaw(frozen.toReversed().map(copied))
  await old.proxy.close()
  late.send('x', web.port, '127.0.0.1')
  await waitFor(() => server.heard.length === 5, { what: 'the late one' })
  const known = server.heard.map(({ from }) => from.port)
  for (const client of [c, a]) {
    client.send('x', web.port, '127.0.0.1')
    await waitFor(() => server.heard.length > known.length, { what: 'the next question' })
    const from = server.heard.at(-1)?.from.port ?? 0
    t.ok(known.includes(from), 'still the same session')
    known.push(from)
  }
  b.send('x', web.port, '127.0.0.1')
  await waitFor(() => server.heard.length > known.length, { what: 'the last question' })
  t.notOk(known.includes(server.heard.at(-1)?.from.port ?? 0), 'the longest idle has made room')
})

t.test('sockets that do not fit are refused and stay open', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy()
  await using other = new TestProxy()
  const tcp = proxy.publish(server.port)
  const udp = proxy.publish(server.port, { protocol: 'udp' })
  const connected = await connect(tcp.port)
  const [[listening = -1] = []] = proxy.proxy.sockets(tcp.id)
  const [[datagrams = -1] = []] = proxy.proxy.sockets(udp.id)
  const file = openSync('/dev/null', 'r')
  const targets = [{ ip: LOOPBACK, port: server.port }]
  const publish = (hostPort: number, sockets: number[][]) =>
    other.proxy.publish({ id: 'x', protocol: 'tcp', hostPort, count: 1, targets }, sockets)
  const cases: [number, number[][], RegExp][] = [
    [tcp.port, [], /1 sockets are needed for each of 1 workers/],
    [tcp.port, [[listening, listening]], /1 sockets are needed/],
    [1, [[listening]], new RegExp(`descriptor ${listening} is bound to port ${tcp.port}`)],
    [udp.port, [[datagrams]], /another protocol/],
    [tcp.port, [[file]], /is no socket \(ENOTSOCK\)/],
  ]
  for (const [hostPort, sockets, message] of cases) {
    t.throws(() => publish(hostPort, sockets), { code: 'invalid-config', message })
  }
  connected.destroy()
  t.equal(publish(0, [[copy(listening)]]), tcp.port)
  t.equal(String(await exchange(tcp.port, 'either of both')), 'either of both')
})
