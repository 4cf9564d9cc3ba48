/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web
 *
 * A daemon takes over from another under load: wrk on kept and on new connections, a long download, a flow
 * of datagrams on one socket.
 */

import { createHash } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { createServer } from 'node:net'
import t from 'tap'
import { type Host, type Namespace, type Running, waitFor } from 'tsnet/lab'
import { libc, must } from '../../src/ffi/ffi.ts'
import { sockaddr } from '../../src/ffi/sockaddr.ts'
import { setReceiveBuffer } from '../../src/ffi/socket.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { Command } from '../support/daemon.ts'
import { ALL } from '../support/faults.ts'
import { HOST, Scene } from '../support/scene.ts'

const TIMES = ALL ? 20 : 8
const DOWNLOAD_BYTES = 64 * 1024 * 1024
// Node's server ends what is idle for five seconds, which on a busy machine a hand-over may take.
const HTTP = `require('node:http').createServer({ keepAliveTimeout: 0 }, (_, reply) => reply.end('web')).listen(82, '0.0.0.0', 4096, () => console.log('listening'))`

t.test(`${TIMES} daemons follow each other, and no client notices`, async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const web = scene.get('web')
  const sent = slowDownload(web, DOWNLOAD_BYTES)
  t.teardown(sent.close)
  const http = web.start(process.execPath, '-e', HTTP)
  await waitFor(() => http.stdout.includes('listening'), { what: 'the web server' })
  const echo = udpEcho(web, 83)
  t.teardown(echo.close)
  const tsnet = new Command(scene.host, 'iptables')
  let daemon: Running = await tsnet.daemon()
  await tsnet.run('publish', '--mode', 'proxy', '8081:81', '8082:82', '8083:83/udp', 'netns:web')

  const download = scene.client.run('sh', '-c', `socat -u TCP:${HOST[4]}:8081 - | sha256sum`, {
    withinMs: 240_000,
  })
  const kept = startWrk(scene.client)
  const fresh = startWrk(scene.client, '-H', 'Connection: close')
  const flow = udpFlow(scene.client, HOST[4], 8083)
  t.teardown(flow.close)
  for (let i = 0; i < TIMES; i++) {
    const before = daemon
    daemon = await tsnet.daemon('--replace')
    t.equal((await before.finished).code, 0, 'the predecessor ends by itself')
  }
  sent.finish()
  for (const [what, wrk] of Object.entries({ kept, fresh })) {
    const { requests, complaints } = await wrk.stop()
    t.comment(`${requests} requests on ${what} connections`)
    t.ok(requests > 50 * TIMES, `there was load on ${what} connections`)
    t.strictSame(complaints, [], 'no request failed')
  }
  await flow.stop()
  t.comment(`${flow.count()} datagrams there and back`)
  t.ok(flow.count() > 10 * TIMES)
  t.strictSame(flow.missing(), [], 'no datagram was lost')
  t.equal(echo.ports.size, 1, 'the container saw one session from the first to the last')
  t.match((await download).stdout, new RegExp(`^${sent.digest} `), 'the download is whole')
  t.equal(sent.asked(), 1, 'and whoever serves it was asked once')
  t.equal((await tsnet.ports()).length, 3)

  const control = startWrk(scene.client)
  const busy = async () => (await tsnet.ports()).some(({ counters }) => (counters?.active ?? 0) > 1)
  await waitFor(busy, { what: 'load once more' })
  await daemon.stop('SIGKILL')
  t.not((await control.stop()).complaints.length, 0, 'wrk does notice when a daemon just ends')
})

t.test('a successor that dies half-way changes nothing', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  await tsnet.run('publish', '8080:80', 'netns:web')
  // Asks for everything, as a successor does, and leaves without the last word.
  const request = JSON.stringify({ id: 1, do: 'hand-over' })
  await scene.host.run('sh', '-c', `echo '${request}' | socat -t 1 - UNIX-CONNECT:/run/tsnet/control.sock`)
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  const second = await tsnet.daemon('--replace')
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  await second.stop('SIGTERM')
})

/** wrk until it is stopped. */
function startWrk(client: Host, ...more: string[]) {
  const words = ['-t1', '-c16', '-d240s', '--timeout', '240s', ...more, `http://${HOST[4]}:8082/`]
  const running = client.start('wrk', ...words)
  return {
    async stop() {
      const { stdout } = await running.stop('SIGINT')
      const requests = Number(/(\d+) requests in/.exec(stdout)?.[1])
      return { requests, complaints: stdout.match(/^.*(Socket errors|Non-2xx).*$/gm) ?? [] }
    },
  }
}

/** Answers each datagram with itself, and remembers from where they came. */
function udpEcho(place: Namespace, port: number) {
  const ports = new Set<number>()
  const socket = boundTo(place, port)
  socket.on('message', (message, { address, port }) => {
    ports.add(port)
    socket.send(message, port, address)
  })
  return { ports, close: () => void socket.close() }
}

/** Numbered datagrams of one client, one every few milliseconds. */
function udpFlow(place: Host, address: string, port: number) {
  const open = new Set<number>()
  let count = 0
  const socket = boundTo(place, 0)
  socket.on('message', message => open.delete(Number(message)))
  const timer = setInterval(() => {
    open.add(count)
    socket.send(String(count++), port, address)
  }, 3)
  return {
    count: () => count,
    missing: () => [...open],
    async stop() {
      clearInterval(timer)
      await waitFor(() => open.size === 0, { what: 'the last answers' }).catch(() => {})
    },
    close: () => {
      clearInterval(timer)
      socket.close()
    },
  }
}

function boundTo(place: Host | Namespace, port: number): Socket {
  const fd = place.inside(() => {
    const fd = must('socket', libc.socket(2, 2 | 0x80800, 0))
    const address = sockaddr(parseIp('0.0.0.0'), port)
    must('bind', libc.bind(fd, address, address.length))
    // On a busy machine a hand-over takes a second, and what has waited comes at once.
    setReceiveBuffer(fd, 8 << 20)
    return fd
  })
  const socket = createSocket('udp4')
  socket.bind({ fd })
  return socket
}

/** Serves bytes on port 81, in pieces, the last of which waits for `finish`. */
function slowDownload(place: Namespace, total: number) {
  const piece = Buffer.alloc(total / 64, 'tsnet ')
  const hash = createHash('sha256')
  for (let i = 0; i < 64; i++) hash.update(piece)
  const digest = hash.digest('hex')
  let finishing = false
  let asked = 0
  const server = createServer(socket => {
    asked++
    let left = 64
    socket.on('error', () => {})
    const next = () => {
      if (left === 0) socket.end()
      else if (left === 1 && !finishing) setTimeout(next, 20)
      else {
        left--
        socket.write(piece, () => setTimeout(next, finishing ? 0 : 200))
      }
    }
    next()
  })
  server.listen({ fd: listenIn(place, 81) })
  return {
    digest,
    /** How often. */
    asked: () => asked,
    finish: () => {
      finishing = true
    },
    close: () => server.close(),
  }
}

/** A listening socket in a place. */
function listenIn(place: Namespace, port: number): number {
  return place.inside(() => {
    const fd = must('socket', libc.socket(2, 1 | 0x80800, 0))
    const address = sockaddr(parseIp('0.0.0.0'), port)
    must('bind', libc.bind(fd, address, address.length))
    must('listen', libc.listen(fd, 16))
    return fd
  })
}
