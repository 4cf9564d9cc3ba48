/** Publications from their beginning to their end, and what their options do. */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { describeHandover } from '../../src/daemon/handover.ts'
import type { Cidr } from '../../src/model/address/address.ts'
import { LOOPBACK, TestProxy } from '../support/published.ts'
import { codeOf, connect, echo, exchange, outcome, readAll, serve } from '../support/streams.ts'

const proxy = new TestProxy()
t.teardown(() => proxy[Symbol.asyncDispose]())

t.test('a port has so many connections and no more', async t => {
  await using server = await serve(echo)
  const web = proxy.publish(server.port, { options: { maxConnections: 2 } })
  const first = await connect(web.port)
  const second = await connect(web.port)
  await waitFor(() => web.counters().active === 2, { what: 'both clients' })
  t.equal(await outcome(web.port), 'ECONNRESET')
  t.match(web.counters(), { accepted: 3, refused: 1 })
  first.destroy()
  await waitFor(() => web.counters().active === 1, { what: 'the first client to leave' })
  t.equal(String(await exchange(web.port, 'room again')), 'room again')
  second.destroy()
})

t.test('clients that are not admitted are reset', async t => {
  await using server = await serve(echo)
  const allow = ['127.0.0.2/32', '::1/128'] as Cidr[]
  const web = proxy.publish(server.port, { options: { allow } })
  t.equal(await outcome(web.port), 'ECONNRESET')
  t.equal(String(await exchange(web.port, 'hello', '::1')), 'hello')
  t.match(web.counters(), { accepted: 2, refused: 1 })
})

t.test('the target is told who the client is, in both versions of the PROXY protocol', async t => {
  await using server = await serve(async socket => socket.end(await readAll(socket)))
  const v1 = proxy.publish(server.port, { options: { proxyProtocol: 1 } })
  const client = await connect(v1.port)
  const line = `PROXY TCP4 127.0.0.1 127.0.0.1 ${client.localPort} ${v1.port}\r\n`
  client.end('GET /')
  t.equal(String(await readAll(client)), `${line}GET /`)
  const v2 = proxy.publish(server.port, { options: { proxyProtocol: 2 } })
  const answer = await exchange(v2.port, 'GET /', '::1')
  t.equal(answer.subarray(0, 16).toString('hex'), '0d0a0d0a000d0a515549540a21210024')
  t.equal(answer.length, 16 + 36 + 5)
})

t.test('idle connections end, those in use go on', async t => {
  await using server = await serve(echo)
  const web = proxy.publish(server.port, { options: { idleMs: 500 } })
  const idle = await connect(web.port)
  const busy = await connect(web.port)
  const timer = setInterval(() => busy.write('.'), 20)
  t.equal(await codeOf(readAll(idle)), 'ECONNRESET')
  clearInterval(timer)
  busy.end()
  t.match(String(await readAll(busy)), /^\.+$/)
})

t.test('a connection that is half closed and idle ends when its time is over', async t => {
  await using server = await serve(socket => socket.resume())
  const web = proxy.publish(server.port, { options: { halfClosedIdleMs: 100 } })
  const client = await connect(web.port)
  client.end()
  t.equal(await codeOf(readAll(client)), 'ECONNRESET')
})

t.test('new clients go to the new target, old ones stay', async t => {
  await using a = await serve(echo)
  await using b = await serve(socket => socket.end('b'))
  const web = proxy.publish(a.port)
  const old = await connect(web.port)
  old.write('still ')
  await waitFor(() => a.sockets.length, { what: 'the old client' })
  await proxy.proxy.retarget(web.id, [{ ip: LOOPBACK, port: b.port }])
  t.equal(String(await exchange(web.port, '')), 'b')
  old.end('here')
  t.equal(String(await readAll(old)), 'still here')
})

t.test('withdrawn: refused at once; who is there may finish until the deadline', async t => {
  await using server = await serve(echo)
  const web = proxy.publish(server.port)
  const quick = await connect(web.port)
  const slow = await connect(web.port)
  await waitFor(() => server.sockets.length === 2, { what: 'both clients' })
  const outcome = codeOf(readAll(slow))
  const withdrawn = proxy.proxy.withdraw(web.id, { drainMs: 1000 })
  const handover = describeHandover(proxy.proxy, [], {}, {})
  t.notOk(Object.hasOwn(handover.sockets, web.id), 'no successor is to have it')
  await waitFor(async () => (await codeOf(connect(web.port))) === 'ECONNREFUSED', { what: 'refusal' })
  quick.end('bye')
  t.equal(String(await readAll(quick)), 'bye')
  await withdrawn
  t.equal(await outcome, 'ECONNRESET')
  t.equal(proxy.proxy.counters().has(web.id), false)
  await t.rejects(proxy.proxy.withdraw(web.id), { code: 'invalid-config', message: /no publication/ })
})

t.test('a port is free again when its publication has ended', async t => {
  await using server = await serve(echo)
  const web = proxy.publish(server.port)
  t.equal(String(await exchange(web.port, 'leaves a port in TIME_WAIT')).length, 26)
  await proxy.proxy.withdraw(web.id)
  const again = proxy.publish(server.port, { hostPort: web.port })
  t.equal(String(await exchange(again.port, 'at once')), 'at once')
})

t.test('without a target the port is held and its clients are reset, until there is one', async t => {
  await using server = await serve(echo)
  const web = proxy.publish(server.port)
  await proxy.proxy.retarget(web.id, [])
  await t.rejects(exchange(web.port, 'to nobody'), { code: 'ECONNRESET' })
  await proxy.proxy.retarget(web.id, [{ ip: LOOPBACK, port: server.port }])
  t.equal(String(await exchange(web.port, 'back again')), 'back again')
})

t.test('what cannot be published changes nothing', async t => {
  await using server = await serve(echo)
  const web = proxy.publish(server.port)
  const before = proxy.proxy.counters().size
  const error = { code: 'conflict', message: new RegExp(`port ${web.port}/tcp is already in use`) }
  t.throws(() => proxy.publish(server.port, { hostPort: web.port }), error)
  t.throws(() => proxy.publish(server.port, { id: web.id }), { code: 'conflict', message: /there already/ })
  const netns = '/proc/self/ns/uts'
  t.throws(() => proxy.publish([{ ip: LOOPBACK, port: 1, netns }]), { code: 'invalid-netns' })
  t.throws(() => proxy.publish([{ root: '/nowhere', path: 's' }]), { code: 'unknown-container' })
  t.equal(proxy.proxy.counters().size, before)
  t.equal(String(await exchange(web.port, 'still served')), 'still served')
})
