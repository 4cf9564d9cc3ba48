/** A proxy that stands still: what it holds meanwhile, and what may happen to it. */

import { closeSync, openSync } from 'node:fs'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { copyDescriptor, openProcess } from '../../src/ffi/pidfd.ts'
import type { FrozenClient, FrozenConnection, PortProxy } from '../../src/proxy/proxy.ts'
import { WorkerThread } from '../../src/proxy/thread.ts'
import { openUdp } from '../support/datagrams.ts'
import { LOOPBACK, type Published, TestProxy, talking } from '../support/published.ts'
import { connect, echo, exchange, readAll, serve } from '../support/streams.ts'
import { epollOf, openFiles, spoil } from '../support/worker-death.ts'

const ourselves = openProcess(process.pid)
const copy = (fd: number) => copyDescriptor(ourselves, fd)

/** Settles when all workers have been round their loops since: what waited for them, they have looked at. */
async function turns(proxy: PortProxy): Promise<void> {
  for (let turn = 0; turn < 3; turn++) {
    const id = `turn ${turn}`
    proxy.publish({ id, protocol: 'tcp', hostPort: 0, count: 1, targets: [] })
    await proxy.withdraw(id)
  }
}

/** The one worker dies while all stands still. */
async function freezeAndKill(proxy: TestProxy, web: Published): Promise<FrozenClient[]> {
  const [[socket = -1] = []] = proxy.proxy.sockets(web.id)
  const epoll = epollOf(socket)
  const frozen = await proxy.proxy.freeze()
  spoil(epoll)
  await turns(proxy.proxy) // wakes it
  await waitFor(() => proxy.faults.length > 0, { what: 'its death' })
  return frozen
}

/** One worker's answer to an order of that kind is late. */
function lateAnswer(t: Test, kind: 'freeze' | 'thaw') {
  const { order } = WorkerThread.prototype
  const hanging = new Set<WorkerThread>()
  let release = () => {}
  const gate = new Promise<void>(resolve => {
    release = resolve
  })
  WorkerThread.prototype.order = function (asked) {
    const done = order.call(this, asked)
    if (asked.kind !== kind || hanging.size > 0) return done
    hanging.add(this)
    return gate.then(() => done)
  }
  t.teardown(() => {
    WorkerThread.prototype.order = order
  })
  return { hanging, release }
}

t.test('what is published while a proxy stands still is held, and served when it goes on', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy({ workers: 2 })
  await proxy.proxy.freeze()
  const web = proxy.publish(server.port)
  const waiting = exchange(web.port, 'patient')
  await turns(proxy.proxy)
  t.match(web.counters(), { accepted: 0, active: 0 })
  await proxy.proxy.thaw([])
  t.equal(String(await waiting), 'patient')
})

t.test('a worker that does not stand still in time is not waited for, and loses nobody', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy({ workers: 2 })
  const web = proxy.publish(server.port)
  const clients = []
  for (let i = 0; i < 8; i++) clients.push(await connect(web.port))
  const { hanging, release } = lateAnswer(t, 'freeze')
  await t.rejects(proxy.proxy.freeze(50), { code: 'try-again', message: /did not stand still within 0.05 s/ })
  t.equal(hanging.size, 1)
  // The kernel spreads them over both workers.
  const meanwhile = Array.from({ length: 24 }, () => exchange(web.port, 'meanwhile'))
  t.equal(String(await Promise.race(meanwhile)), 'meanwhile', 'the other worker serves')
  release()
  t.strictSame((await Promise.all(meanwhile)).map(String), Array(24).fill('meanwhile'))
  for (const client of clients) client.end('after')
  for (const client of clients) t.equal(String(await readAll(client)), 'after')
  const frozen = await proxy.proxy.freeze()
  t.strictSame(frozen, [], 'it can stand still again')
  await proxy.proxy.thaw(frozen)
  t.equal(String(await exchange(web.port, 'and go on')), 'and go on')
  t.strictSame(proxy.faults, [])
})

t.test('a worker that does not go on in time is told of, and keeps nobody waiting', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy({ workers: 2 })
  const web = proxy.publish(server.port)
  t.equal(String(await exchange(web.port, 'warm')), 'warm')
  const { hanging, release } = lateAnswer(t, 'thaw')
  await proxy.proxy.thaw(await proxy.proxy.freeze(), 50)
  t.equal(hanging.size, 1)
  t.match(proxy.faults.splice(0), [/has not gone on within 0.05 s/])
  t.equal(String(await exchange(web.port, 'meanwhile')), 'meanwhile')
  release()
  await proxy.proxy.thaw(await proxy.proxy.freeze())
  t.equal(String(await exchange(web.port, 'and go on')), 'and go on')
  t.strictSame(proxy.faults, [])
})

t.test('a UDP client who asks while a successor begins to hold its port is not a new one', async t => {
  await using server = await openUdp()
  await using old = new TestProxy()
  await using fresh = new TestProxy()
  const web = old.publish(server.port, { protocol: 'udp' })
  await using client = await openUdp()
  client.send('1', web.port, '127.0.0.1')
  await waitFor(() => server.heard.length === 1, { what: 'the first question' })

  await fresh.proxy.freeze()
  const frozen = await old.proxy.freeze()
  const sockets = old.proxy.sockets(web.id).map(each => each.map(copy))
  const targets = [{ ip: LOOPBACK, port: server.port }]
  fresh.proxy.publish({ id: web.id, protocol: 'udp', hostPort: web.port, count: 1, targets }, sockets)
  client.send('2', web.port, '127.0.0.1')
  await turns(fresh.proxy)
  t.equal(server.heard.length, 1)
  await fresh.proxy.thaw(frozen.map(each => ({ ...each, target: copy(each.target ?? -1) })))
  await old.proxy.close()
  await waitFor(() => server.heard.length === 2, { what: 'the second question' })
  t.equal(server.heard[1]?.from.port, server.heard[0]?.from.port, 'of the same client')
  t.equal(fresh.proxy.counters().get(web.id)?.active, 1)
})

t.test('a worker that dies while all stands still takes no connection with it', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy()
  const web = proxy.publish(server.port)
  const client = await talking(web, 'before ')
  const frozen = await freezeAndKill(proxy, web)
  t.match(proxy.faults.splice(0), [/worker 0 died and is replaced: /])
  await proxy.proxy.thaw(frozen)
  client.end('after')
  t.equal(String(await readAll(client)), 'before after')
})

t.test('its successor stands still as well', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy()
  const web = proxy.publish(server.port)
  t.equal(String(await exchange(web.port, 'warm')), 'warm')
  await freezeAndKill(proxy, web)
  proxy.faults.splice(0)
  const waiting = exchange(web.port, 'patient')
  await new Promise(resolve => setTimeout(resolve, 0))
  await turns(proxy.proxy)
  t.equal(web.counters().accepted, 1)
  await proxy.proxy.thaw([])
  t.equal(String(await waiting), 'patient')
})

t.test('one who cannot go on does not keep the others', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy()
  const web = proxy.publish(server.port)
  const client = await talking(web, 'before ')
  const frozen = await proxy.proxy.freeze()
  const [{ up, down } = { up: undefined, down: undefined }] = frozen.filter(
    each => each.kind === 'connection',
  )
  if (up === undefined) throw new Error('nobody')
  const [one, other] = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')]
  const broken: FrozenConnection = {
    ...{ kind: 'connection', id: web.id, port: 0, choice: 0, up, down },
    ...{ client: one, target: other },
  }
  await proxy.proxy.thaw([broken, ...frozen])
  t.match(proxy.faults.splice(0), [/epoll_ctl/])
  t.notOk(openFiles().has(one) || openFiles().has(other), 'it is closed')
  client.end('after')
  t.equal(String(await readAll(client)), 'before after')
  t.equal(String(await exchange(web.port, 'new')), 'new')
})

t.test('the sockets of what was withdrawn meanwhile are closed once', async t => {
  await using server = await serve(echo)
  await using proxy = new TestProxy()
  const web = proxy.publish(server.port)
  await talking(web, 'x')
  const frozen = await proxy.proxy.freeze()
  await proxy.proxy.withdraw(web.id)
  await proxy.proxy.thaw(frozen)
  const theirs = frozen.flatMap(each => (each.kind === 'connection' ? [each.client, each.target ?? -1] : []))
  t.equal(theirs.filter(fd => openFiles().has(fd)).length, 0, 'they are closed')
  const opened: number[] = []
  while (!theirs.every(fd => opened.includes(fd)) && opened.length < 100)
    opened.push(openSync('/dev/null', 'r'))
  await proxy.proxy.close()
  const open = openFiles()
  t.strictSame(
    opened.filter(fd => !open.has(fd)),
    [],
    'and what has their numbers by now is not',
  )
  for (const fd of opened) if (open.has(fd)) closeSync(fd)
})
