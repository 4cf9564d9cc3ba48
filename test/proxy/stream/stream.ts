/** What a client of a published TCP port sees: bytes, ends of streams, resets. */

import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { libc } from '../../../src/ffi/ffi.ts'
import { AF_INET6, readSockaddr, sockaddr } from '../../../src/ffi/sockaddr.ts'
import {
  IPPROTO_TCP,
  optionOf,
  SO_DOMAIN,
  SO_KEEPALIVE,
  SOL_SOCKET,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from '../../../src/ffi/socket.ts'
import type { Ip } from '../../../src/model/address/address.ts'
import { LOOPBACK, TestProxy, talking } from '../../support/published.ts'
import {
  closedPort,
  codeOf,
  connect,
  echo,
  exchange,
  outcome,
  readAll,
  serve,
} from '../../support/streams.ts'

const proxy = new TestProxy()
t.teardown(() => proxy[Symbol.asyncDispose]())

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

t.test('one publication serves all addresses of both families, a v4 target from v6 too', async t => {
  await using server = await serve(echo)
  const { port } = proxy.publish(server.port)
  for (const host of ['127.0.0.1', '::1', '127.0.0.2']) {
    t.equal(String(await exchange(port, `by ${host}`, host)), `by ${host}`)
  }
  await using v6 = await serve(echo, { host: '::1' })
  const second = proxy.publish([{ ip: '::1' as Ip, port: v6.port }])
  t.equal(String(await exchange(second.port, 'to ::1')), 'to ::1')
})

t.test('given addresses are served and no others', async t => {
  await using server = await serve(echo)
  const { port } = proxy.publish(server.port, { hostIps: ['127.0.0.3', '::1'] as Ip[] })
  t.equal(String(await exchange(port, 'yes', '127.0.0.3')), 'yes')
  t.equal(String(await exchange(port, 'yes', '::1')), 'yes')
  t.equal(await codeOf(connect(port, '127.0.0.1')), 'ECONNREFUSED')
})

t.test('each port of a range leads to the port at the same distance', async t => {
  // Below the ports that the kernel chooses.
  await using _a = await serve(socket => socket.end('a'), { host: '127.0.0.1', port: 18_301 })
  await using _b = await serve(socket => socket.end('b'), { host: '127.0.0.1', port: 18_302 })
  const range = proxy.publish(18_301, { hostPort: 18_401, count: 2 })
  t.equal(range.port, 18_401)
  t.equal(String(await exchange(18_401, '')), 'a')
  t.equal(String(await exchange(18_402, '')), 'b')
  t.match(proxy.proxy.portCounters(range.id), [{ accepted: 1 }, { accepted: 1 }])
  t.match(range.counters(), { accepted: 2 })
})

/** What the sockets that were accepted on a port have of their options; they are this process's. */
function optionsOfAccepted(port: number): string[] {
  const found: string[] = []
  const address = new Uint8Array(28)
  const length = new Uint8Array(new Int32Array([28]).buffer)
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name)
    if (optionOf(fd, SOL_SOCKET, SO_DOMAIN) !== AF_INET6) continue
    if (libc.getpeername(fd, address, length.slice()) < 0) continue
    if (libc.getsockname(fd, address, length.slice()) < 0 || readSockaddr(address).port !== port) continue
    const delay = optionOf(fd, IPPROTO_TCP, TCP_NODELAY) === 1 ? 'no delay' : 'delay'
    const isAsked = optionOf(fd, SOL_SOCKET, SO_KEEPALIVE) === 1
    const seconds = [TCP_KEEPIDLE, TCP_KEEPINTVL].map(option => optionOf(fd, IPPROTO_TCP, option))
    found.push(`${delay}, ${isAsked ? seconds.join(' and ') : 'not asked'}`)
  }
  return found
}

t.test(
  'those who waited before the first was accepted, and those who come later, have no delay and keepalive',
  async t => {
    await using server = await serve(echo)
    await using proxy = new TestProxy()
    await proxy.proxy.freeze()
    const web = proxy.publish(server.port, { options: { keepaliveMs: 7000 } })
    const clients = [await connect(web.port), await connect(web.port), await connect(web.port)]
    await proxy.proxy.thaw([])
    const accepted = (count: number) =>
      waitFor(() => web.counters().active === count, { what: `${count} clients` })
    await accepted(3)
    t.same(optionsOfAccepted(web.port), Array(3).fill('no delay, 7 and 7'))
    clients.push(await talking(web, 'later'))
    await accepted(4)
    t.same(optionsOfAccepted(web.port), Array(4).fill('no delay, 7 and 7'))
    for (const client of clients) client.destroy()
  },
)

t.test('half-close: the answer comes after the request has ended, and the other way round', async t => {
  await using server = await serve(async socket => {
    const request = await readAll(socket)
    socket.end(`got ${request.length}`)
  })
  t.equal(String(await exchange(proxy.publish(server.port).port, Buffer.alloc(100_000))), 'got 100000')

  let rest: Buffer | undefined
  await using eager = await serve(async socket => {
    socket.end('first the answer')
    rest = await readAll(socket)
  })
  const client = await connect(proxy.publish(eager.port).port)
  t.equal(String(await readAll(client)), 'first the answer')
  client.end(Buffer.alloc(300_000, 1))
  await waitFor(() => rest, { what: 'the rest of the client' })
  t.equal(rest?.length, 300_000)
})

t.test('every length arrives unchanged, both ways at once', async t => {
  await using server = await serve(echo)
  const { port } = proxy.publish(server.port)
  for (const length of [0, 1, 16_384, 65_535, 65_536, 65_537, 1 << 20, 5_000_001]) {
    const bytes = randomBytes(length)
    t.equal(sha256(await exchange(port, bytes)), sha256(bytes), String(length))
  }
})

t.test('a reset passes as a reset, from either side', async t => {
  await using server = await serve(socket => {
    socket.once('data', () => socket.resetAndDestroy())
  })
  const client = await connect(proxy.publish(server.port).port)
  client.write('x')
  t.equal(await codeOf(readAll(client)), 'ECONNRESET')

  let seen: string | undefined
  await using quiet = await serve(async socket => {
    seen = await codeOf(readAll(socket))
  })
  const other = await connect(proxy.publish(quiet.port).port)
  other.write('x')
  await waitFor(() => quiet.sockets[0]?.bytesRead, { what: 'the byte' })
  other.resetAndDestroy()
  await waitFor(() => seen, { what: 'the reset' })
  t.equal(seen, 'ECONNRESET')
})

t.test('a reset is noticed while the other side takes nothing', async t => {
  await using server = await serve(socket => socket.pause())
  const web = proxy.publish(server.port)
  const client = await connect(web.port)
  const chunk = Buffer.alloc(1 << 20)
  for (let before = -1; web.counters().bytesIn > before || before <= 0; ) {
    before = web.counters().bytesIn
    client.write(chunk)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  client.resetAndDestroy()
  await waitFor(() => web.counters().active === 0, { what: 'the connection to go' })
  t.equal(web.counters().failed, 0)
})

t.test('where nobody listens the client is reset, and never sees a clean end', async t => {
  const web = proxy.publish(await closedPort())
  t.equal(await outcome(web.port), 'ECONNRESET')
  t.match(web.counters(), { accepted: 1, active: 0, failed: 1 })
})

t.test('urgent data does not stop a bulk transfer', async t => {
  await using server = await serve(async socket => {
    const { length } = await readAll(socket)
    socket.end(`got ${length}`)
  })
  const web = proxy.publish(server.port)
  const fd = libc.socket(2, 1, 0)
  const address = sockaddr(LOOPBACK, web.port)
  libc.connect(fd, address, address.length)
  const chunk = new Uint8Array(200_000)
  const MSG_OOB = 1
  for (let i = 0; i < 5; i++) {
    libc.send(fd, chunk, chunk.length, 0)
    libc.send(fd, chunk, 1, MSG_OOB)
  }
  libc.shutdown(fd, 1)
  await waitFor(() => web.counters().bytesOut, { what: 'the answer' })
  const answer = new Uint8Array(100)
  const length = libc.recv(fd, answer, answer.length, 0)
  // An urgent byte is not part of the stream for a reader that does not ask for it.
  t.match(Buffer.from(answer.subarray(0, length)).toString(), /^got 100000[0-5]$/)
  libc.close(fd)
})
