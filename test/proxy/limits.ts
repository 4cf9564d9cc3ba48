/** At the limit of open files, and how much a connection and a port cost. */

import type { Socket } from 'node:net'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { startProxyProcess } from '../support/proxy-process.ts'
import { LOOPBACK } from '../support/published.ts'
import { codeOf, connect, echo, exchange, serve } from '../support/streams.ts'

const target = (port: number) => ({ targets: [{ ip: LOOPBACK, port }] })

t.test('out of descriptors: clients are reset and counted, those who are served go on', async t => {
  await using server = await serve(echo)
  await using proxy = await startProxyProcess([target(server.port)], { files: 256 })
  t.equal(String(await exchange(proxy.port, 'warm')), 'warm')
  const idle = await proxy.ask('fds')
  const first = await connect(proxy.port)
  const clients: Socket[] = []
  let resets = 0
  for (let i = 0; i < 1000; i++) {
    const client = await connect(proxy.port).catch(() => undefined)
    if (client === undefined) {
      resets++
      continue
    }
    client.on('error', () => {
      resets++
    })
    clients.push(client)
  }
  await waitFor(() => resets > 800, { what: 'clients to be reset' })
  const counters = await waitFor(
    async () => {
      const numbers = (await proxy.ask('counters'))['publication 0']
      return numbers?.refused === resets && numbers.accepted === 1002 ? numbers : undefined
    },
    { what: 'each to be counted' },
  )
  t.match(counters, { accepted: 1002, failed: 0, active: 1001 - resets })
  t.ok(counters.active > 80, `${counters.active} are served`)
  first.end('still here')
  const heard: Buffer[] = []
  for await (const chunk of first) heard.push(chunk)
  t.equal(String(Buffer.concat(heard)), 'still here')

  for (const client of clients) client.resetAndDestroy()
  await waitFor(async () => (await proxy.ask('counters'))['publication 0']?.active === 0, {
    what: 'all to go',
  })
  t.equal(String(await exchange(proxy.port, 'as before')), 'as before')
  await waitFor(async () => (await proxy.ask('fds')) <= idle, { what: 'the descriptors to come back' })
  t.equal(proxy.errors, '')
})

t.test('an idle connection costs two descriptors', async t => {
  await using server = await serve(echo)
  await using proxy = await startProxyProcess([target(server.port)])
  // Its worker has opened by then what it has for itself.
  t.equal(String(await exchange(proxy.port, 'warm')), 'warm')
  await waitFor(async () => (await proxy.ask('counters'))['publication 0']?.active === 0, {
    what: 'it to go',
  })
  const before = await proxy.ask('fds')
  const clients = await Promise.all(Array.from({ length: 300 }, () => connect(proxy.port)))
  // Bulk data has passed, too, and has given its pipe back.
  const [bulk] = clients
  bulk?.write(Buffer.alloc(3 << 20))
  let got = 0
  bulk?.on('data', chunk => {
    got += chunk.length
  })
  await waitFor(() => got === 3 << 20, { what: 'the echo' })
  await waitFor(() => server.sockets.length === 301, { what: 'all targets' })
  const KEPT_PIPES = 2 * 4
  const cost = (await proxy.ask('fds')) - before
  t.ok(cost >= 600 && cost <= 600 + KEPT_PIPES, `${cost} descriptors for 300`)
  for (const client of clients) client.destroy()
})

t.test('10 000 ports are published in under a second and 60 MB, and answer', async t => {
  await using server = await serve(socket => socket.end('one of many'))
  const hostPort = 12_000 // and the targets' ports lie higher
  // All lead to targets that do not exist but one.
  const range = { hostPort, count: 10_000, targets: [{ ip: LOOPBACK, port: server.port - 5000 }] }
  await using proxy = await startProxyProcess([range])
  const growth = (await proxy.ask('rss')) - proxy.ready.rssBefore
  t.ok(proxy.ready.cpuMs < 1000, `took ${proxy.ready.cpuMs.toFixed()} ms of processor time`)
  t.ok(growth < 60e6, `grew by ${(growth / 1e6).toFixed(1)} MB`)
  t.equal(String(await exchange(hostPort + 5000, '')), 'one of many')
  for (let i = 0; i < 100; i++) {
    const failure = await codeOf(exchange(hostPort + 97 * i, ''))
    if (failure !== undefined) t.equal(failure, 'ECONNRESET')
  }
  const { accepted } = (await proxy.ask('counters'))['publication 0'] ?? { accepted: 0 }
  t.equal(accepted, 101, 'each of the sampled ports was served')
})
