/** Workers that die, and processes that end while a worker sleeps in the kernel. */

import { once } from 'node:events'
import { closeSync, fstatSync, openSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { libc } from '../../../src/ffi/ffi.ts'
import { AF_INET, domainOf, sockaddr } from '../../../src/ffi/sockaddr.ts'
import {
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOL_SOCKET,
  setOption,
  socketKinds,
} from '../../../src/ffi/socket.ts'
import type { Ip } from '../../../src/model/address/address.ts'
import { openUdp, udpEcho } from '../../support/datagrams.ts'
import { startProxyProcess } from '../../support/proxy-process.ts'
import { LOOPBACK, TestProxy } from '../../support/published.ts'
import { closedPort, codeOf, connect, echo, exchange, readAll, serve } from '../../support/streams.ts'
import { epollOf, openFiles, spoil, threads } from '../../support/worker-death.ts'

t.test('a worker that dies is replaced: no client is refused, nothing leaks', async t => {
  await using server = await serve(echo)
  await using udp = await udpEcho()
  await using proxy = new TestProxy()
  const web = proxy.publish(server.port)
  const dns = proxy.publish(udp.port, { protocol: 'udp' })
  t.equal(String(await exchange(web.port, 'warm')), 'warm')
  await using asker = await openUdp()
  asker.send('1', dns.port, '127.0.0.1')
  await waitFor(() => asker.heard.length === 1, { what: 'the first reply' })
  const old = await connect(web.port)
  await waitFor(() => web.counters().active === 1, { what: 'the connection' })
  const broken = codeOf(readAll(old))
  const before = openFiles().size

  const [[socket = -1] = []] = proxy.proxy.sockets(web.id)
  spoil(epollOf(socket))
  const started = performance.now()
  await proxy.proxy.retarget(dns.id, [{ ip: LOOPBACK, port: udp.port }]) // wakes it
  t.equal(String(await exchange(web.port, 'served by the next')), 'served by the next')
  t.ok(performance.now() - started < 5000)
  t.match(proxy.faults.splice(0), [/worker 0 died and is replaced: /])
  t.equal(await broken, 'ECONNRESET', 'the old connection does not look as if it had come to its end')
  asker.send('2', dns.port, '127.0.0.1')
  await waitFor(() => asker.heard.length === 2, { what: 'the second reply' })
  await waitFor(() => web.counters().active === 0, { what: 'the counters to forget the dead' })
  await waitFor(() => openFiles().size <= before, { what: 'its descriptors to be closed' })
})

t.test('a worker that ends closes nothing that somebody else has opened meanwhile', async t => {
  const [before, others] = [openFiles(), threads()]
  await using ending = new TestProxy()
  const served = ending.publish(1) // nobody starts before there is something to serve
  await ending.proxy.withdraw(served.id)
  const workers = threads().filter(each => !others.includes(each))
  t.equal(workers.length, 1)
  const its = [...openFiles().keys()].filter(fd => !before.has(fd))

  const closed = ending.proxy.close()
  for (let turn = 0; turn < 50; turn++) await undefined // so far that the worker is told
  // Nothing is heard here of its end, which takes some milliseconds, before we say so.
  const deadline = performance.now() + 20_000
  while (threads().some(each => workers.includes(each)) && performance.now() < deadline);
  t.notOk(
    threads().some(each => workers.includes(each)),
    'the thread is gone',
  )
  const opened = its.map(() => openSync('/dev/null', 'r'))
  await closed
  for (const fd of opened) {
    t.ok(fstatSync(fd).isCharacterDevice(), `${fd} is still open`)
    closeSync(fd)
  }
})

t.test('several workers share the clients of a port, and nobody else may', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy({ workers: 3 })
  await using single = new TestProxy()
  const web = proxy.publish(server.port)
  t.equal(proxy.proxy.sockets(web.id).length, 3)
  for (let i = 0; i < 60; i++) t.equal(String(await exchange(web.port, `${i}`)), `${i}`)
  t.match(web.counters(), { accepted: 60 })
  t.throws(() => single.publish(server.port, { hostPort: web.port }), { code: 'conflict' })
  await using other = new TestProxy({ workers: 2 })
  t.throws(() => other.publish(server.port, { hostPort: web.port }), { code: 'conflict' })
})

/** May another socket that would share a port bind there? */
function letsIn(protocol: 'tcp' | 'udp', port: number, address: string): boolean {
  const ip = address as Ip
  const [type, number] = socketKinds[protocol]
  const fd = libc.socket(domainOf(ip), type | SOCK_CLOEXEC, number)
  try {
    for (const option of [SO_REUSEADDR, SO_REUSEPORT]) setOption(fd, SOL_SOCKET, option, 1)
    const bytes = sockaddr(ip, port)
    return libc.bind(fd, bytes, bytes.length) === 0 && (protocol === 'udp' || libc.listen(fd, 1) === 0)
  } finally {
    libc.close(fd)
  }
}

t.test('a port of several workers lets in no socket of others that shares its port', async t => {
  await using server = await serve(echo)
  await using udp = await udpEcho()
  await using proxy = new TestProxy({ workers: 2 })
  const cases = [
    [undefined, ['0.0.0.0', '127.0.0.1', '::', '::1']],
    ['0.0.0.0', ['0.0.0.0', '127.0.0.1', '::']],
    ['127.0.0.1', ['0.0.0.0', '127.0.0.1', '::']],
    ['::', ['::', '::1']],
  ] as const
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const [at, intruders] of cases) {
      for (const intruder of intruders) {
        const target = protocol === 'tcp' ? server.port : udp.port
        const { port } = proxy.publish(target, { protocol, ...(at && { hostIps: [at as Ip] }) })
        t.notOk(letsIn(protocol, port, intruder), `${protocol} ${at ?? 'any'}: ${intruder}`)
      }
    }
  }
  // Nor the other way round.
  for (const protocol of ['tcp', 'udp'] as const) {
    const fd = libc.socket(AF_INET, socketKinds[protocol][0] | SOCK_CLOEXEC, 0)
    t.teardown(() => libc.close(fd))
    setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)
    const port = await closedPort()
    const bytes = sockaddr(LOOPBACK, port)
    t.equal(libc.bind(fd, bytes, bytes.length), 0)
    if (protocol === 'tcp') libc.listen(fd, 1)
    t.throws(() => proxy.publish(server.port, { protocol, hostPort: port }), { code: 'conflict' })
  }
})

t.test('where sockets cannot be given away, workers have one in common, and nobody else', async t => {
  await using server = await serve(echo)
  await using udp = await udpEcho()
  const given = [server.port, udp.port].map((port, i) => ({
    protocol: i === 0 ? ('tcp' as const) : ('udp' as const),
    targets: [{ ip: LOOPBACK, port }],
  }))
  await using proxy = await startProxyProcess(given, {
    workers: 3,
    under: ['unshare', '--user', '--map-root-user'],
  })
  const [web = 0, dns = 0] = proxy.ready.ports
  for (let i = 0; i < 60; i++) t.equal(String(await exchange(web, `${i}`)), `${i}`)
  await using client = await openUdp()
  for (const round of [1, 2, 3]) {
    client.send(`${round}`, dns, '127.0.0.1')
    await waitFor(() => client.heard.length === round, { what: 'the reply' })
  }
  t.notOk(letsIn('tcp', web, '0.0.0.0'))
  t.notOk(letsIn('udp', dns, '0.0.0.0'))
})

t.test('a limit on connections counts those of all workers', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy({ workers: 2 })
  const web = proxy.publish(server.port, { options: { maxConnections: 4 } })
  const clients = []
  for (let i = 0; i < 12; i++) {
    clients.push(await connect(web.port).catch(() => undefined))
    await waitFor(() => web.counters().active + web.counters().refused > i, { what: 'the verdict' })
  }
  t.match(web.counters(), { accepted: 12, active: 4, refused: 8 })
  for (const client of clients) client?.destroy()
})

t.test('a process that dies of an error does not wait for its workers', async t => {
  await using server = await serve(echo)
  await using proxy = await startProxyProcess([{ targets: [{ ip: LOOPBACK, port: server.port }] }])
  t.equal(String(await exchange(proxy.port, 'alive')), 'alive')
  const started = performance.now()
  proxy.child.stdin?.write('throw\n')
  const [code] = await once(proxy.child, 'exit')
  t.equal(code, 1)
  t.ok(performance.now() - started < 3000)
  t.match(proxy.errors, /on purpose/)
})
