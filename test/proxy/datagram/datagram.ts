/** What a client of a published UDP port sees. */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Cidr, Ip } from '../../../src/model/address/address.ts'
import { hasCode } from '../../../src/model/errors.ts'
import type { PublicationOptions } from '../../../src/proxy/proxy.ts'
import { defaultOptions } from '../../../src/proxy/publication.ts'
import { openUdp, type TestSocket, udpEcho } from '../../support/datagrams.ts'
import { extent } from '../../support/extent.ts'
import { LOOPBACK, TestProxy } from '../../support/published.ts'

t.setTimeout(extent(60_000, 1_200_000))

const proxy = new TestProxy()
t.teardown(() => proxy[Symbol.asyncDispose]())

const publish = (port: number, options: PublicationOptions = {}, hostIps?: Ip[]) =>
  proxy.publish(port, { protocol: 'udp', options, ...(hostIps === undefined ? {} : { hostIps }) })

t.test('replies come from the address that was asked, of either family', async t => {
  await using server = await udpEcho()
  const { port } = publish(server.port)
  await using v4 = await openUdp('0.0.0.0')
  await using v6 = await openUdp('::1')
  for (const host of ['127.0.0.1', '127.0.0.2', '127.1.2.3']) v4.send(host, port, host)
  v6.send('::1', port, '::1')
  await waitFor(() => v4.heard.length === 3 && v6.heard.length === 1, { what: 'four replies' })
  for (const { text, from } of [...v4.heard, ...v6.heard]) t.match(from, { address: text, port })
})

t.test('a socket of its own for a given address answers from there', async t => {
  await using server = await udpEcho()
  const { port } = publish(server.port, {}, ['127.0.0.4'] as Ip[])
  await using client = await openUdp('0.0.0.0')
  client.send('hello', port, '127.0.0.4')
  await waitFor(() => client.heard.length, { what: 'the reply' })
  t.match(client.heard[0], { text: 'hello', from: { address: '127.0.0.4' } })
})

t.test('every size arrives whole, empty ones too', async t => {
  await using server = await udpEcho()
  const { port } = publish(server.port)
  await using client = await openUdp()
  const sizes = [0, 1, 1472, 1473, 9000, 65_000, 65_507]
  for (const size of sizes) {
    const before = client.heard.length
    client.send(Buffer.alloc(size, 7), port, '127.0.0.1')
    await waitFor(() => client.heard.length > before, { what: `${size} bytes` })
  }
  t.strictSame(
    client.heard.map(({ text }) => text.length),
    sizes,
  )
})

t.test('a burst arrives whole and in order, whatever the lengths of neighbours', async t => {
  await using server = await udpEcho()
  const { port } = publish(server.port)
  await using client = await openUdp()
  // Runs of one length, single ones, and one that is too long to go with others.
  const sizes = Array.from({ length: 150 }, (_, i) => (i % 50 === 49 ? 2000 : 10 + (Math.floor(i / 7) % 3)))
  const burst = sizes.map((size, i) => `${i} `.padEnd(size, '.'))
  for (const text of burst) client.send(text, port, '127.0.0.1')
  await waitFor(() => client.heard.length === burst.length, { what: 'all of the burst' })
  t.strictSame(
    client.heard.map(({ text }) => text),
    burst,
  )
})

t.test('clients keep apart, and the target sees one port for each as long as it talks', async t => {
  await using server = await udpEcho()
  const web = publish(server.port)
  const clients = await Promise.all(Array.from({ length: 20 }, () => openUdp()))
  for (let round = 0; round < 3; round++) {
    for (const [index, client] of clients.entries()) client.send(`${index} ${round}`, web.port, '127.0.0.1')
  }
  await waitFor(() => clients.every(({ heard }) => heard.length === 3), { what: 'all replies' })
  for (const [index, { heard }] of clients.entries()) {
    t.strictSame(
      heard.map(({ text }) => text).sort(),
      [0, 1, 2].map(round => `${index} ${round}`),
    )
  }
  t.equal(new Set(server.heard.map(({ from }) => from.port)).size, 20)
  t.match(web.counters(), { accepted: 20, active: 20, datagramsIn: 60, datagramsOut: 60, failed: 0 })
  for (const client of clients) await client[Symbol.asyncDispose]()
})

t.test('one client that asks two addresses is answered from both', async t => {
  await using server = await udpEcho()
  const { port } = publish(server.port)
  await using client = await openUdp('0.0.0.0')
  for (let round = 0; round < 3; round++) {
    client.send('a', port, '127.0.0.1')
    client.send('b', port, '127.0.0.2')
  }
  await waitFor(() => client.heard.length === 6, { what: 'six replies' })
  for (const { text, from } of client.heard) t.equal(from.address, text === 'a' ? '127.0.0.1' : '127.0.0.2')
})

t.test('a target that is down for a while loses only what was sent meanwhile', async t => {
  const server = await udpEcho()
  const { port: target } = server
  const web = publish(target)
  await using client = await openUdp()
  client.send('first', web.port, '127.0.0.1')
  await waitFor(() => client.heard.length === 1, { what: 'the first reply' })
  const source = server.heard[0]?.from.port
  await server[Symbol.asyncDispose]()
  client.send('lost', web.port, '127.0.0.1')
  client.send('lost too', web.port, '127.0.0.1')
  await waitFor(() => web.counters().datagramsIn === 3, { what: 'the lost ones' })

  await using back = await udpEcho(LOOPBACK, target)
  // The report about the last lost one must not cost this one its turn.
  client.send('second', web.port, '127.0.0.1')
  await waitFor(() => client.heard.length === 2, { what: 'the second reply' })
  t.equal(client.heard[1]?.text, 'second')
  t.equal(back.heard[0]?.from.port, source, 'still the same session')
  t.equal(web.counters().accepted, 1)
})

t.test('a flow that goes one way only keeps its session; a silent one ends', async t => {
  await using sink = await openUdp()
  await using client = await openUdp()
  const FOR_MS = extent(1000, 300_000)
  const web = publish(sink.port, { sessionIdleMs: FOR_MS / 4 })
  const started = performance.now()
  while (performance.now() - started < FOR_MS) {
    client.send('tick', web.port, '127.0.0.1')
    await new Promise(resolve => setTimeout(resolve, FOR_MS / 40))
  }
  t.equal(new Set(sink.heard.map(({ from }) => from.port)).size, 1)
  t.equal(web.counters().accepted, 1)
  await waitFor(() => web.counters().active === 0, { what: 'the session to end', withinMs: FOR_MS })

  // The other way: the target goes on talking.
  const from = sink.heard[0]?.from.port ?? 0
  client.send('subscribe', web.port, '127.0.0.1')
  await waitFor(() => sink.heard.at(-1)?.text === 'subscribe', { what: 'the subscription' })
  const session = sink.heard.at(-1)?.from.port ?? 0
  t.not(session, from)
  for (let i = 0; i < 30; i++) {
    sink.send('news', session, '127.0.0.1')
    await new Promise(resolve => setTimeout(resolve, FOR_MS / 40))
  }
  await waitFor(() => client.heard.length === 30, { what: 'the news' })
  t.equal(web.counters().accepted, 2)
})

t.test('those who never got an answer make room first, and a flood of them pushes out itself', async t => {
  await using server = await openUdp()
  server.socket.on('message', (message, from) => {
    if (String(message) === 'talk') server.send('yes', from.port, from.address)
  })
  const web = publish(server.port, { maxSessions: 10 })
  await using legit = await openUdp()
  legit.send('talk', web.port, '127.0.0.1')
  await waitFor(() => legit.heard.length === 1, { what: 'the answer' })
  for (let i = 0; i < 50; i++) {
    await using forger = await openUdp()
    forger.send('flood', web.port, '127.0.0.1')
    await waitFor(() => web.counters().accepted === i + 2, { what: 'the session' })
    t.ok(web.counters().active <= 10)
  }
  t.match(web.counters(), { accepted: 51, active: 10, evicted: 41 })
  legit.send('talk', web.port, '127.0.0.1')
  await waitFor(() => legit.heard.length === 2, { what: 'the second answer' })
  const talks = server.heard.filter(({ text }) => text === 'talk').map(({ from }) => from.port)
  t.equal(new Set(talks).size, 1, 'the session of who talks survived')
})

/** Does something with ports that nobody has: from a number on that others would not choose as well. */
async function untilFree<T>(work: (port: number) => T | Promise<T>): Promise<T> {
  for (let left = 20; ; left--) {
    try {
      return await work(10_000 + Math.floor(Math.random() * 20_000))
    } catch (thrown) {
      if (left === 0 || !hasCode(thrown, 'conflict', 'EADDRINUSE')) throw thrown
    }
  }
}

/** Sends, and waits for the answer. */
async function talk(client: TestSocket, port: number): Promise<void> {
  const before = client.heard.length
  client.send('x', port, '127.0.0.1')
  await waitFor(() => client.heard.length > before, { what: 'the answer' })
}

t.test('of those who talk, who is idle longest makes room, whoever was there first', async t => {
  for (const limit of ['maxSessions', 'maxSessionsPerSource'] as const) {
    await using server = await udpEcho()
    const web = publish(server.port, { [limit]: 3 })
    await using other = await openUdp('127.0.0.9')
    await talk(other, web.port)
    const [active, ...idle] = await Promise.all(Array.from({ length: 6 }, () => openUdp()))
    if (active === undefined) throw new Error('nobody')
    for (const client of idle) {
      await talk(active, web.port)
      await talk(client, web.port)
      t.ok(web.counters().active <= 4, limit)
    }
    await talk(active, web.port)
    t.equal(web.counters().evicted, limit === 'maxSessions' ? 4 : 3)
    t.equal(web.counters().accepted, 7, `${limit}: the first one was active, and never began anew`)
    for (const client of [active, ...idle]) await client[Symbol.asyncDispose]()
  }
})

t.test('each port has so many sessions, and so has each address on it', async t => {
  const target = await untilFree(async first => {
    for (const port of [first, first + 1]) {
      const echo = await udpEcho(LOOPBACK, port)
      t.teardown(() => echo[Symbol.asyncDispose]())
    }
    return first
  })
  const options = { maxSessions: 2, maxSessionsPerSource: 1 }
  const web = await untilFree(hostPort =>
    proxy.publish(target, { protocol: 'udp', hostPort, count: 2, options }),
  )
  const hostPort = web.port
  const clients = await Promise.all(['127.0.0.5', '127.0.0.6'].map(address => openUdp(address)))
  for (const port of [hostPort, hostPort + 1]) for (const client of clients) await talk(client, port)
  t.match(web.counters(), { accepted: 4, active: 4, evicted: 0 })
  await using again = await openUdp('127.0.0.5')
  await talk(again, hostPort)
  t.match(proxy.proxy.portCounters(web.id), [
    { accepted: 3, active: 2, evicted: 1 },
    { accepted: 2, active: 2, evicted: 0 },
  ])
  for (const client of clients) await client[Symbol.asyncDispose]()
})

t.test('thousands of clients of one address keep their sessions', async t => {
  await using server = await udpEcho()
  const web = publish(server.port)
  const clients = await Promise.all(Array.from({ length: 1100 }, () => openUdp()))
  for (let round = 0; round < 2; round++) for (const client of clients) await talk(client, web.port)
  t.match(web.counters(), { accepted: 1100, active: 1100, evicted: 0 })
  for (const client of clients) await client[Symbol.asyncDispose]()
})

t.test('a session lasts for 90 s without a datagram where nothing else is said, answered or not', async t => {
  t.equal(defaultOptions.sessionIdleMs, 90_000)
})

t.test('clients that are not admitted get nothing', async t => {
  await using server = await udpEcho()
  const web = publish(server.port, { deny: ['127.0.0.8/32'] as Cidr[] })
  await using denied = await openUdp('127.0.0.8')
  await using admitted = await openUdp('127.0.0.7')
  denied.send('no', web.port, '127.0.0.1')
  admitted.send('yes', web.port, '127.0.0.1')
  await waitFor(() => admitted.heard.length === 1, { what: 'the reply' })
  t.strictSame(
    server.heard.map(({ text }) => text),
    ['yes'],
  )
  t.match(web.counters(), { refused: 1, active: 1 })
})

t.test('a new target gets the next datagram of old clients too', async t => {
  await using a = await udpEcho(LOOPBACK, 0, 'a ')
  await using b = await udpEcho(LOOPBACK, 0, 'b ')
  const web = publish(a.port)
  await using client = await openUdp()
  client.send('1', web.port, '127.0.0.1')
  await waitFor(() => client.heard.length === 1, { what: 'the reply of a' })
  await proxy.proxy.retarget(web.id, [{ ip: LOOPBACK, port: b.port }])
  client.send('2', web.port, '127.0.0.1')
  await waitFor(() => client.heard.length === 2, { what: 'the reply of b' })
  t.strictSame(
    client.heard.map(({ text }) => text),
    ['a 1', 'b 2'],
  )
})

t.test('two publications cannot share a port, and a withdrawn one is free', async t => {
  await using server = await udpEcho()
  const web = publish(server.port)
  const again = () => proxy.publish(server.port, { protocol: 'udp', hostPort: web.port })
  t.throws(again, { code: 'conflict', message: /\/udp is already in use/ })
  await proxy.proxy.withdraw(web.id)
  t.equal(again().port, web.port)
})
