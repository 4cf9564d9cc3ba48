/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web
 *
 * A daemon takes over from another under load: questions, a long download, a UDP flow.
 */

import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import t from 'tap'
import type { Namespace, Running } from 'tsnet/lab'
import { libc, must } from '../../src/ffi/ffi.ts'
import { sockaddr } from '../../src/ffi/sockaddr.ts'
import { parseIp } from '../../src/model/address.ts'
import { Command } from '../support/daemon.ts'
import { HOST, Scene } from '../support/scene.ts'

const TIMES = 20
const DOWNLOAD_BYTES = 64 * 1024 * 1024

t.test(`${TIMES} daemons follow each other, and no client notices`, async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const web = scene.get('web')
  const sent = slowDownload(web, DOWNLOAD_BYTES)
  t.teardown(sent.close)
  const tsnet = new Command(scene.host, 'iptables')
  let daemon: Running = await tsnet.daemon()
  await tsnet.run('publish', '--mode', 'proxy', '8080:80', '8080:80/udp', '8081:81', 'netns:web')

  const download = scene.client.run('sh', '-c', `socat -u TCP:${HOST[4]}:8081 - | sha256sum`, {
    withinMs: 120_000,
  })
  let asking = true
  const answers = { tcp: 0, udp: 0 }
  const ask = async (protocol: 'tcp' | 'udp') => {
    while (asking) {
      t.equal((await scene.client.ask(protocol, HOST[4], 8080, { withinMs: 10_000 })).place, 'web')
      answers[protocol]++
    }
  }
  const asked = Promise.all([ask('tcp'), ask('tcp'), ask('udp')])
  for (let i = 0; i < TIMES; i++) {
    const before = daemon
    daemon = await tsnet.daemon('--replace')
    t.equal((await before.finished).code, 0, 'the predecessor ends by itself')
  }
  sent.finish()
  asking = false
  await asked
  t.comment(`${answers.tcp} questions over TCP, ${answers.udp} over UDP`)
  t.ok(answers.tcp > TIMES && answers.udp > TIMES)
  t.match((await download).stdout, new RegExp(`^${sent.digest()} `), 'the download is whole')
  t.equal((await tsnet.ports()).length, 3)
  await daemon.stop('SIGTERM')
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

/** Serves bytes on port 81, in pieces, so that the transfer lasts until `finish`. */
function slowDownload(place: Namespace, total: number) {
  const hash = createHash('sha256')
  const piece = Buffer.alloc(total / 64, 'tsnet ')
  let finishing = false
  const server = createServer(socket => {
    let left = 64
    socket.on('error', () => {})
    const next = () => {
      if (left-- === 0) socket.end()
      else {
        hash.update(piece)
        socket.write(piece, () => setTimeout(next, finishing ? 0 : 200))
      }
    }
    next()
  })
  server.listen({ fd: listenIn(place, 81) })
  return {
    finish: () => {
      finishing = true
    },
    digest: () => hash.digest('hex'),
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
