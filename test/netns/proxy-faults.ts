/** Cables pulled, ports used up, forged clients; and what Docker's proxy does in the same place. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'
import t from 'tap'
import { type Place, waitFor } from 'tsnet/lab'
import { libc } from '../../src/ffi/ffi.ts'
import { sockaddr } from '../../src/ffi/sockaddr.ts'
import { openConnected } from '../../src/lab/sockets.ts'
import type { Ip } from '../../src/model/address/address.ts'
import { writeSysctl } from '../../src/netns/sysctl.ts'
import { extent } from '../support/extent.ts'
import { untilProxyServes } from '../support/processes.ts'
import { startProxyProcess } from '../support/proxy-process.ts'
import { TestProxy } from '../support/published.ts'
import { readAll } from '../support/streams.ts'
import { street } from '../support/street.ts'

t.setTimeout(extent(600_000, 1_200_000))

/** Fits into the receive buffer of the service, which lives in this process. */
const BURST = 100
const FORGED = extent(20_000, 100_000)
const web80 = [{ ip: '10.9.0.2' as Ip, port: 80 }]

/** A client at a place, on its way to the host's port 8080. Its errors are for those who look at them. */
function knock(client: Place): Socket {
  const fd = client.inside(() => openConnected('tcp', '192.168.50.1' as Ip, 8080, 0))
  return new Socket({ fd, allowHalfOpen: true }).on('error', () => {})
}

t.test('connections of a client whose cable was pulled end within the keepalive time', async t => {
  await using place = await street()
  const { host, client, web } = place
  host.inside(() => writeSysctl('net/ipv4/tcp_keepalive_probes', '2'))
  await using proxy = new TestProxy({}, host)
  web.listen('tcp', 80)
  const published = proxy.publish(web80, { hostPort: 8080, options: { keepaliveMs: 1000 } })
  const sockets = Array.from({ length: 200 }, () => knock(client))
  await waitFor(() => published.counters().active === 200, { what: 'all clients' })
  await client.run('ip', 'link', 'set', 'eth0', 'down')
  await waitFor(() => published.counters().active === 0, { what: 'the dead to be noticed' })
  for (const socket of sockets) socket.destroy()
  t.pass()
})

t.test('connections to a container whose cable was pulled are reset', async t => {
  await using place = await street()
  const { host, client, web } = place
  host.inside(() => writeSysctl('net/ipv4/tcp_keepalive_probes', '2'))
  await using proxy = new TestProxy({}, host)
  web.listen('tcp', 80)
  const published = proxy.publish(web80, { hostPort: 8080, options: { keepaliveMs: 1000 } })
  const socket = knock(client)
  await waitFor(() => published.counters().active === 1, { what: 'the client' })
  await web.run('ip', 'link', 'set', 'eth0', 'down')
  await t.rejects(readAll(socket), { code: 'ECONNRESET' })
})

t.test('when no port is left to dial from, clients are reset, and served again later', async t => {
  await using place = await street()
  const { host, client, web } = place
  host.inside(() => writeSysctl('net/ipv4/ip_local_port_range', '40000 40049'))
  await using proxy = new TestProxy({}, host)
  web.listen('tcp', 80)
  const published = proxy.publish(web80, { hostPort: 8080 })
  const sockets = Array.from({ length: 80 }, () => knock(client))
  let resets = 0
  for (const socket of sockets) {
    socket.resume().on('error', () => {
      resets++
    })
  }
  await waitFor(() => resets === 30, { what: '30 clients to be reset' })
  t.match(published.counters(), { accepted: 80, active: 50, failed: 30 })
  for (const socket of sockets) socket.resetAndDestroy()
  await waitFor(() => published.counters().active === 0, { what: 'all to go' })
  t.match(await client.ask('tcp', '192.168.50.1', 8080), { place: 'web' })
})

/** Sends one datagram from each of some addresses of 10.200.0.0/15. */
function sendFromMany(client: Place, first: number, count: number, to: Uint8Array): void {
  const datagram = Buffer.from('flood')
  client.inside(() => {
    for (let i = first; i < first + count; i++) {
      const fd = libc.socket(2, 2, 0)
      const source = sockaddr(`10.${200 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}` as Ip, 0)
      libc.bind(fd, source, source.length)
      libc.connect(fd, to, to.length)
      libc.send(fd, datagram, datagram.length, 0)
      libc.close(fd)
    }
  })
}

t.test('a flood of forged UDP clients stays within its bounds, and who talks is heard', async t => {
  await using place = await street()
  const { host, client, web } = place
  await client.run('ip', 'route', 'add', 'local', '10.200.0.0/15', 'dev', 'lo')
  host.route('10.200.0.0/15', '192.168.50.2')
  web.listen('udp', 53)
  const target = [{ ip: '10.9.0.2' as Ip, port: 53 }]
  await using proxy = await startProxyProcess([{ protocol: 'udp', hostPort: 53, targets: target }], {
    at: host,
  })
  const legit = () => client.ask('udp', '192.168.50.1', 53, { fromPort: 5353, withinMs: 20_000 })
  const first = await legit()
  const before = await proxy.ask('rss')
  const to = sockaddr('192.168.50.1' as Ip, 53)
  for (let sent = 0; sent < FORGED; sent += BURST) {
    sendFromMany(client, sent, BURST, to)
    const answer = await legit()
    if (answer.peerPort !== first.peerPort) t.equal(answer.peerPort, first.peerPort, 'the same session')
  }
  const counters = (await proxy.ask('counters'))['publication 0']
  t.ok((counters?.active ?? 0) <= 4096, `${counters?.active} sessions`)
  t.ok((counters?.accepted ?? 0) > 4096, `${counters?.accepted} were begun`)
  const growth = (await proxy.ask('rss')) - before
  t.ok(growth < 20e6, `grew by ${(growth / 1e6).toFixed(1)} MB`)
  t.comment(
    `figure: ${FORGED} forged UDP clients: ${(growth / 1e6).toFixed(1)} MB more, ${counters?.active} sessions at a time, every rightful question answered in its own`,
  )
})

// Docker's proxy in the same place, which shows that these tests can fail.

async function dockerProxy(host: Place, protocol: string, port: number, files = 1024): Promise<ChildProcess> {
  const words = ['-proto', protocol, '-host-ip', '0.0.0.0', '-host-port', String(port)]
  const target = ['-container-ip', '10.9.0.2', '-container-port', protocol === 'udp' ? '53' : '80']
  const enter = `ulimit -n ${files}; exec nsenter --net=/proc/${process.pid}/fd/${host.netns.fd} -- "$@"`
  const child = spawn('sh', ['-c', enter, 'sh', 'docker-proxy', ...words, ...target], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  })
  await untilProxyServes(child)
  return child
}

t.test('control: Docker’s proxy ends at the limit of open files', async t => {
  await using place = await street()
  const { host, client, web } = place
  web.listen('tcp', 80)
  const docker = await dockerProxy(host, 'tcp', 8080, 64)
  const ended = once(docker, 'exit')
  const sockets = Array.from({ length: 60 }, () => knock(client))
  await ended
  for (const socket of sockets) socket.destroy()
  await t.rejects(client.ask('tcp', '192.168.50.1', 8080), { code: 'ECONNREFUSED' })
})

t.test('control: Docker’s proxy makes a dead container look like one that has finished', async t => {
  await using place = await street()
  const { host, client } = place
  const docker = await dockerProxy(host, 'tcp', 8080)
  const socket = knock(client)
  t.equal((await readAll(socket)).length, 0)
  docker.kill()
  await once(docker, 'exit')
})

t.test('control: Docker’s proxy answers UDP from another address than was asked', async t => {
  await using place = await street()
  const { host, client, web } = place
  web.listen('udp', 53)
  const docker = await dockerProxy(host, 'udp', 53)
  t.match(await client.ask('udp', '192.168.50.1', 53), { place: 'web' })
  await t.rejects(client.ask('udp', '192.168.50.77', 53, { withinMs: 500 }), { code: 'ETIMEDOUT' })
  docker.kill()
  await once(docker, 'exit')
})
