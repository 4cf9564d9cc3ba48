/** Where clients are taken to. */

import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { LOOPBACK, TestProxy } from '../support/published.ts'
import { closedPort, codeOf, connect, echo, exchange, outcome, readAll, serve } from '../support/streams.ts'

const proxy = new TestProxy()
t.teardown(() => proxy[Symbol.asyncDispose]())

t.test('a client waits for the target to listen, as long as it may', async t => {
  const target = await closedPort()
  const patient = proxy.publish(target, { options: { waitMs: 20_000 } })
  const client = await connect(patient.port)
  client.end('early')
  await waitFor(() => patient.counters().active === 1, { what: 'the client to be held' })
  await using _server = await serve(echo, { host: '127.0.0.1', port: target })
  t.equal(String(await readAll(client)), 'early')

  const impatient = proxy.publish(await closedPort(), { options: { waitMs: 50 } })
  const started = performance.now()
  t.equal(await outcome(impatient.port), 'ECONNRESET')
  t.ok(performance.now() - started >= 45)
})

t.test('clients are spread over targets, and one that is down is passed over', async t => {
  await using a = await serve(socket => socket.write('a'))
  await using b = await serve(socket => socket.write('b'))
  const targets = [await closedPort(), a.port, b.port].map(port => ({ ip: LOOPBACK, port }))
  const web = proxy.publish(targets)
  const clients = []
  for (let i = 0; i < 6; i++) {
    const client = await connect(web.port)
    await new Promise(resolve => client.once('data', resolve))
    clients.push(client)
  }
  t.equal(a.sockets.length, 3)
  t.equal(b.sockets.length, 3)
  for (const client of clients) client.resetAndDestroy()
  await waitFor(() => web.counters().active === 0, { what: 'all to leave' })
  t.equal(web.counters().failed, 0)
})

t.test('a unix socket in a container is reached, and no link leads out of the container', async t => {
  const root = mkdtempSync(join(tmpdir(), 'tsnet-'))
  await using _inside = await serve(echo, { path: join(root, 'in.sock') })
  await using outside = await serve(echo, { path: `${root}.sock` })
  symlinkSync('/in.sock', join(root, 'link.sock'))
  symlinkSync(`../${basename(root)}.sock`, join(root, 'out.sock'))
  symlinkSync(`${root}.sock`, join(root, 'absolute.sock'))
  const publish = (path: string) => proxy.publish([{ root, path }]).port
  t.equal(String(await exchange(publish('/in.sock'), 'direct')), 'direct')
  t.equal(String(await exchange(publish('/link.sock'), 'by a link')), 'by a link')
  const large = randomBytes(3 << 20)
  const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
  t.equal(sha256(await exchange(publish('in.sock'), large)), sha256(large))
  for (const path of ['/out.sock', '/absolute.sock', `/../../../..${root}.sock`, '/nothing.sock']) {
    t.equal(await codeOf(exchange(publish(path), 'x')), 'ECONNRESET', path)
  }
  t.equal(outside.sockets.length, 0)
  rmSync(root, { recursive: true })
})
