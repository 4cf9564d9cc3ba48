/** Ports that processes hand to the daemon: as they are meant, and as they are not. */

import { readdirSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Peer } from '../../src/control/server.ts'
import { Placeholders } from '../../src/daemon/placeholders.ts'
import { libc } from '../../src/ffi/ffi.ts'
import { openBound } from '../../src/lab/sockets.ts'
import type { Ip } from '../../src/model/address/address.ts'
import { readProxyCall } from '../../src/model/proxy-call.ts'
import { TestProxy } from '../support/published.ts'
import { codeOf, connect, echo, exchange, serve } from '../support/streams.ts'

const F_DUPFD_CLOEXEC = 1030
const LOOPBACK = '127.0.0.1' as Ip

/** We are our own placeholder. */
class TestPeer implements Peer {
  readonly #gone: (() => void)[] = []
  dismissed = false
  pid = () => process.pid
  onGone(work: () => void): void {
    this.#gone.push(work)
  }
  stays(): void {}
  tell = () => true
  isThere(): boolean {
    return !this.dismissed
  }
  dismiss(): void {
    this.dismissed = true
    this.leave()
  }
  leave(): void {
    for (const work of this.#gone) work()
  }
}

/** A socket that listens, or is only bound, at a free port. */
function socketAt(
  transport: 'tcp' | 'udp',
  listens = true,
): { socket: number; hostPort: number; close(): void } {
  const socket = openBound(transport, LOOPBACK, 0)
  if (transport === 'tcp' && listens) libc.listen(socket, 16)
  const name = new Uint8Array(16)
  libc.getsockname(socket, name, new Uint8Array(Int32Array.of(16).buffer))
  return { socket, hostPort: new DataView(name.buffer).getUint16(2), close: () => void libc.close(socket) }
}

const callTo = (containerPort: number, more: object) => ({
  protocol: 'tcp',
  hostIp: LOOPBACK,
  containerIp: LOOPBACK,
  containerPort,
  ...more,
})

const descriptors = () => readdirSync('/proc/self/fd').length

t.test('a port is served as long as its placeholder is there, and then everything of it is gone', async t => {
  await using container = await serve(echo)
  await using proxy = new TestProxy()
  const placeholders = new Placeholders(proxy.proxy)
  const { close, ...held } = socketAt('tcp')
  let before = 0
  // The first time is for what a proxy keeps: pipes, say.
  for (const end of ['leave', 'leave', 'is gone', 'is another'] as const) {
    const peer = new TestPeer()
    await placeholders.serve(callTo(container.port, held), peer)
    t.equal(String(await exchange(held.hostPort, 'hello')), 'hello')
    if (end === 'leave') await placeholders.leave(peer)
    else if (end === 'is gone') peer.leave()
    else {
      // The same process asks anew; its old connection ends later.
      const again = new TestPeer()
      await placeholders.serve(callTo(container.port, held), again)
      peer.leave()
      t.equal(String(await exchange(held.hostPort, 'hello')), 'hello')
      await placeholders.leave(again)
    }
    t.same(placeholders.calls(), {})
    await waitFor(() => proxy.proxy.counters().size === 0, { what: 'the port to be let go of' })
    before ||= descriptors()
    await waitFor(() => descriptors() <= before, { what: `${end}: everything to be closed` })
  }
  close()
  t.equal(await codeOf(connect(held.hostPort)), 'ECONNREFUSED')
})

t.test(
  'of one that dies while a successor copies the sockets, these are there until it is decided who serves',
  async t => {
    await using container = await serve(echo)
    await using proxy = new TestProxy()
    const placeholders = new Placeholders(proxy.proxy)
    const { close, ...held } = socketAt('tcp')
    const peer = new TestPeer()
    await placeholders.serve(callTo(container.port, held), peer)
    placeholders.standStill()
    peer.leave()
    close()
    t.equal(String(await exchange(held.hostPort, 'hello')), 'hello')
    t.equal(Object.keys(placeholders.calls()).length, 1)
    placeholders.goOn()
    t.same(placeholders.calls(), {})
    await waitFor(() => proxy.proxy.counters().size === 0, { what: 'the port to be let go of' })
    t.equal(await codeOf(connect(held.hostPort)), 'ECONNREFUSED')
  },
)

t.test('what is inherited is served until its placeholder has come, or did not come', async t => {
  await using container = await serve(echo)
  await using proxy = new TestProxy()
  // A worker takes its time to start, which is not the placeholders'.
  const first = proxy.publish(container.port)
  t.equal(String(await exchange(first.port, 'hello')), 'hello')
  const placeholders = new Placeholders(proxy.proxy, { returnWithinMs: 3000 })
  const [stays, goes] = [socketAt('tcp'), socketAt('tcp')]
  const peer = new TestPeer()
  const calls = Object.fromEntries(
    [stays, goes].map(({ hostPort }, index) => [
      `docker-proxy ${index === 0 ? process.pid : process.ppid}`,
      readProxyCall(callTo(container.port, { hostPort })),
    ]),
  )
  const copy = (fd: number) => libc.fcntl(fd, F_DUPFD_CLOEXEC, 0)
  placeholders.inherit(calls, id => [[copy(id.endsWith(` ${process.ppid}`) ? goes.socket : stays.socket)]])
  for (const { hostPort, close } of [stays, goes]) {
    close()
    t.equal(String(await exchange(hostPort, 'hello')), 'hello')
  }
  await placeholders.serve({ ...calls[`docker-proxy ${process.pid}`], socket: 0 }, peer)
  await waitFor(() => Object.keys(placeholders.calls()).length === 1, { what: 'the other to be let go of' })
  t.equal(String(await exchange(stays.hostPort, 'hello')), 'hello')
  t.equal(await codeOf(connect(goes.hostPort)), 'ECONNREFUSED')
  placeholders.release()
  t.ok(peer.dismissed)
  t.equal(
    String(await exchange(stays.hostPort, 'hello')),
    'hello',
    'whose it is now is for its successor to say',
  )
})

t.test('sockets that are none, or not those, are refused, and nothing stays open', async t => {
  await using proxy = new TestProxy()
  const placeholders = new Placeholders(proxy.proxy)
  const tcp = socketAt('tcp')
  const udp = socketAt('udp')
  const silent = socketAt('tcp', false)
  // A worker that has started has all that it keeps.
  const once = new TestPeer()
  await placeholders.serve(callTo(80, tcp), once)
  await placeholders.leave(once)
  const before = descriptors()
  for (const [what, more, code] of [
    ['standard input', { ...tcp, socket: 0 }, 'invalid-config'],
    ['none', { ...tcp, socket: 99_999 }, 'EBADF'],
    ['no number', { ...tcp, socket: '4' }, 'invalid-environment'],
    ['of another protocol', { ...udp, protocol: 'tcp' }, 'invalid-config'],
    ['of another port', { ...tcp, hostPort: tcp.hostPort ^ 1 }, 'invalid-config'],
    ['that does not listen', silent, 'invalid-config'],
  ] as const) {
    await t.rejects(placeholders.serve(callTo(80, more), new TestPeer()), { code }, what)
    t.same(placeholders.calls(), {})
    t.equal(descriptors(), before, `${what}: nothing stays open`)
  }
  await t.rejects(
    placeholders.serve(callTo(80, tcp), Object.assign(new TestPeer(), { pid: () => 0 })),
    { code: 'unsupported-field' },
    'of a process that we cannot see',
  )
  for (const { close } of [tcp, udp, silent]) close()
})

t.test('a port that could not be served is listed with the reason, told once, until it is', async t => {
  await using container = await serve(echo)
  await using proxy = new TestProxy()
  const told: (string | undefined)[] = []
  const placeholders = new Placeholders(proxy.proxy, { tell: (_what, why) => told.push(why) })
  const silent = socketAt('tcp', false)
  const call = callTo(container.port, silent)
  for (let i = 0; i < 2; i++) {
    await t.rejects(placeholders.serve(call, new TestPeer()), { code: 'invalid-config' })
    t.match(placeholders.list(), [{ id: `docker-proxy ${process.pid}`, obstacle: /does not listen/ }])
  }
  libc.listen(silent.socket, 16)
  const peer = new TestPeer()
  await placeholders.serve(call, peer)
  t.match(placeholders.list(), [{ counters: { accepted: 0 }, call: { hostPort: silent.hostPort } }])
  t.match(told, [/does not listen/, undefined])
  t.equal(told.length, 2)
  await placeholders.leave(peer)
  t.same(placeholders.list(), [])
  silent.close()
})

t.test('words that are no call are refused by the name of what is wrong', async t => {
  const good = callTo(80, { hostPort: 8080 })
  t.same(readProxyCall({ ...good, more: 1 }), good)
  for (const [key, value] of Object.entries({
    protocol: 'quic',
    hostIp: '1.2.3',
    hostPort: 65_536,
    containerIp: 4,
    containerPort: 0,
  })) {
    t.throws(() => readProxyCall({ ...good, [key]: value }), {
      code: 'invalid-environment',
      message: `docker-proxy: ${key}: ${JSON.stringify(value)} cannot be`,
    })
  }
  fc.assert(
    fc.property(fc.anything(), words => {
      t.throws(() => readProxyCall(words), { code: 'invalid-environment' })
    }),
    { numRuns: 100 },
  )
})
