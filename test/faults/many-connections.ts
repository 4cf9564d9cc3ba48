/**
 * Many connections at once that do nothing, or read nothing, or come from many ports: what each takes, and that others
 * are served. Beside it Docker's proxy, in the same place.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { extent } from '../support/extent.ts'
import { memoryOf } from '../support/memory.ts'
import { untilProxyServes } from '../support/processes.ts'
import { startProxyProcess } from '../support/proxy-process.ts'
import { LOOPBACK } from '../support/published.ts'
import { closedPort, connect, echo, exchange, readAll, serve } from '../support/streams.ts'

t.setTimeout(extent(600_000, 1_800_000))

/** Both ends are this process's, so it has twice as many descriptors; the limit here is 20 000. */
const IDLE = extent(1000, 9500)
/** Of a proxy with six descriptors for each. */
const IDLE_DOCKER = extent(1000, 3000)
const ROUND_TRIPS = extent(100, 1000)
const AT_ONCE = 100

const target = (port: number) => ({ targets: [{ ip: LOOPBACK, port }] })

interface Taken {
  kb: number
  fds: number
}

const takenBy = (pid: number | undefined): Taken => ({
  kb: memoryOf(`/proc/${pid}`).rssKb,
  fds: readdirSync(`/proc/${pid}/fd`).length,
})

/** Connections that say one word and then nothing, by some at once. */
async function idlers(port: number, count: number): Promise<Socket[]> {
  const clients: Socket[] = []
  while (clients.length < count) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - clients.length) }, () => connect(port))
    for (const client of await Promise.all(some)) {
      client.write('.')
      await once(client, 'data')
      clients.push(client)
    }
  }
  return clients
}

/** Milliseconds of round trips, sorted. */
async function roundTrips(port: number): Promise<number[]> {
  const client = await connect(port)
  const times: number[] = []
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const began = performance.now()
    client.write('.')
    await once(client, 'data')
    times.push(performance.now() - began)
  }
  client.destroy()
  return times.sort((a, b) => a - b)
}

/** What each of so many took. */
const each = (before: Taken, after: Taken, count: number): string =>
  `${((after.kb - before.kb) / count).toFixed(1)} KB, ${((after.fds - before.fds) / count).toFixed(1)} descriptors`

async function dockerProxy(port: number, targetPort: number): Promise<ChildProcess> {
  const words = ['-proto', 'tcp', '-host-ip', '127.0.0.1', '-host-port', `${port}`]
  const to = ['-container-ip', '127.0.0.1', '-container-port', `${targetPort}`]
  const child = spawn('docker-proxy', [...words, ...to], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] })
  await untilProxyServes(child)
  return child
}

t.test('those who are idle take little, and who talks does not notice them', async t => {
  await using server = await serve(echo)
  await using proxy = await startProxyProcess([target(server.port)])
  for (const client of await idlers(proxy.port, 10)) client.destroy()
  await waitFor(async () => (await proxy.ask('counters'))['publication 0']?.active === 0, { what: 'rest' })
  const alone = await roundTrips(proxy.port)
  const before = takenBy(proxy.child.pid)
  const clients = await idlers(proxy.port, IDLE)
  const after = takenBy(proxy.child.pid)
  const beside = await roundTrips(proxy.port)
  t.ok(after.fds - before.fds <= 2 * IDLE + 16, `${after.fds - before.fds} descriptors`)
  const kb = (after.kb - before.kb) / IDLE
  t.ok(kb < 8, `${kb.toFixed(1)} KB each`)
  for (const client of clients) client.destroy()
  await waitFor(async () => (await proxy.ask('counters'))['publication 0']?.active === 0, {
    what: 'all to go',
  })
  await waitFor(() => takenBy(proxy.child.pid).fds <= before.fds, { what: 'the descriptors to come back' })

  const port = await closedPort()
  const docker = await dockerProxy(port, server.port)
  const dockerBefore = takenBy(docker.pid)
  const others = await idlers(port, IDLE_DOCKER)
  const dockerAfter = takenBy(docker.pid)
  for (const client of others) client.destroy()
  docker.kill()
  await once(docker, 'exit')
  const at = (times: number[], share: number) => (times[Math.floor(share * times.length)] ?? 0).toFixed(2)
  t.comment(
    `figure: an idle connection: ${each(before, after, IDLE)} (of ${IDLE}); docker-proxy ${each(dockerBefore, dockerAfter, IDLE_DOCKER)} (of ${IDLE_DOCKER})`,
  )
  t.comment(
    `figure: a round trip beside ${IDLE} idle connections: p50 ${at(beside, 0.5)} ms, p99 ${at(beside, 0.99)} ms; alone ${at(alone, 0.5)} and ${at(alone, 0.99)}`,
  )
  t.ok((dockerAfter.fds - dockerBefore.fds) / IDLE_DOCKER > 3, 'control: one that takes more is seen')
})

t.test('those who read nothing are held up by the kernel, and cost no memory of ours', async t => {
  // The kernel's buffers of both connections hold some of it.
  const SLOW = extent(8, 50)
  const EACH = 32 << 20
  const chunk = Buffer.alloc(1 << 16, 'x')
  let poured = 0
  await using server = await serve(socket => {
    if (server.sockets.length === 1) return void echo(socket)
    let sent = 0
    const more = () => {
      while (sent < EACH && !socket.destroyed) {
        sent += chunk.length
        poured += chunk.length
        if (!socket.write(chunk)) return void socket.once('drain', more)
      }
      socket.end()
    }
    more()
  })
  await using proxy = await startProxyProcess([target(server.port)])
  const talker = await connect(proxy.port)
  talker.write('.')
  await once(talker, 'data')
  const before = takenBy(proxy.child.pid)
  const readers = await Promise.all(Array.from({ length: SLOW }, () => connect(proxy.port)))
  let [last, at] = [-1, performance.now()]
  await waitFor(
    () => {
      if (poured !== last) [last, at] = [poured, performance.now()]
      return performance.now() - at > 300
    },
    { what: 'everything to stand still', withinMs: 60_000 },
  )
  talker.write('.')
  await once(talker, 'data')
  const growth = takenBy(proxy.child.pid).kb - before.kb
  t.ok(growth < 8192, `grew by ${growth} KB`)
  t.ok(poured < SLOW * EACH, `control: ${poured} of ${SLOW * EACH} bytes were sent by then`)
  const lengths = await Promise.all(readers.map(async reader => (await readAll(reader)).length))
  t.ok(
    lengths.every(length => length === EACH),
    'every reader gets all in the end',
  )
  t.comment(
    `figure: memory for ${SLOW} readers that stand still before ${EACH >> 20} MiB: ${(growth / SLOW).toFixed(1)} KB each`,
  )
  talker.destroy()
})

t.test('of many at once each target is told its own client, whoever speaks first', async t => {
  const MANY = extent(200, 2000)
  // A server that speaks first, and says whom it was told of.
  await using server = await serve(socket => {
    let heard = ''
    socket.on('data', part => {
      heard += part
      const end = heard.indexOf('\r\n')
      if (end >= 0 && !socket.writableEnded) socket.end(heard.slice(0, end))
    })
  })
  await using proxy = await startProxyProcess([{ ...target(server.port), options: { proxyProtocol: 1 } }])
  const one = async (i: number) => {
    const client = await connect(proxy.port)
    const own = client.localPort
    if (i % 5 === 4) {
      client.resetAndDestroy()
      return true
    }
    if (i % 5 === 1) client.write('PROXY TCP4 10.0.0.1 10.0.0.1 1 1\r\n') // a lie comes after the truth
    if (i % 5 === 2) client.end('at once')
    const told = String(await readAll(client))
    client.destroy()
    return told === `PROXY TCP4 127.0.0.1 127.0.0.1 ${own} ${proxy.port}`
  }
  let right = 0
  for (let i = 0; i < MANY; i += AT_ONCE)
    right += (await Promise.all(Array.from({ length: AT_ONCE }, (_, k) => one(i + k)))).filter(Boolean).length
  t.equal(right, MANY)
  await using plain = await startProxyProcess([target(server.port)])
  t.notMatch(String(await exchange(plain.port, 'GET /\r\n')), 'PROXY', 'control: unasked nothing is told')
})
