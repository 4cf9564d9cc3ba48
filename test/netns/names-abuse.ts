/** Containers that send whatever they like to where names are told: others go on, and so does the daemon. */

import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { encode } from 'dns-packet'
import t from 'tap'
import { type Namespace, type Running, waitFor } from 'tsnet/lab'
import { libc } from '../../src/ffi/ffi.ts'
import { sockaddr } from '../../src/ffi/sockaddr.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { askTcp, askUdp, NameServer, openSocket, type Said } from '../support/dns.ts'
import { FRONT, named, withNames } from '../support/names.ts'
import { CLIENT } from '../support/scene.ts'

t.setTimeout(600_000)

const MB = 2 ** 20
const question = (name: string): Buffer =>
  encode({ type: 'query', id: 1, flags: 0x100, questions: [{ name, type: 'A' }] })

/** Sends from one socket until it is told to stop. */
function flood(from: Namespace, messages: readonly Uint8Array[], perRound: number) {
  const fd = openSocket(from, 'udp', '0.0.0.0', 0)
  const to = sockaddr(parseIp(FRONT), 53)
  const socket = createSocket('udp4')
  socket.bind({ fd })
  let isOver = false
  let sent = 0
  const done = (async () => {
    while (!isOver) {
      for (let n = 0; n < perRound; n++) {
        const message = messages[sent++ % messages.length] ?? new Uint8Array()
        libc.sendto(fd, message, message.length, 0x40, to, to.length)
      }
      await sleep(10)
    }
    socket.close()
  })()
  return {
    sent: () => sent,
    stop: async () => {
      isOver = true
      await done
    },
  }
}

/** As a resolver does: what has no answer after a while is sent again. */
const asking = (ask: typeof askUdp, from: Namespace, name: string): Promise<Said> =>
  waitFor(
    async () => {
      const said = await ask(from, { server: FRONT, name, withinMs: 500 })
      return typeof said === 'string' ? undefined : said
    },
    { what: `an answer to ${ask.name}` },
  )

const memoryOf = ({ pid }: Running): number => {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) * 1024
}

t.test(
  'a flood, garbage, a name server that is silent and idle connections keep nobody from an answer',
  async t => {
    const { scene, tsnet, front } = await withNames(t, 'nftables', 'a', 'b', 'c')
    using _ = await NameServer.at(scene.client, CLIENT[4], () => undefined)
    const daemon = await tsnet.daemon()
    const [a, b, c] = [scene.get('a'), scene.get('b'), scene.get('c')]
    await front.add(a, named('web'))
    await front.add(b, named('bad'))
    t.match(await askUdp(a, { server: FRONT, name: 'web' }), { code: 'NOERROR' })
    const before = memoryOf(daemon)
    const loop = Buffer.concat([question('x').subarray(0, 12), Buffer.from([0xc0, 12, 0, 1, 0, 1])])
    const many = Buffer.alloc(60_000)
    question('x').copy(many)
    many.writeUInt16BE(0xffff, 4)
    const messages = [
      ...Array.from({ length: 40 }, (_, n) => question(`name-${n}.example`)),
      ...Array.from({ length: 60 }, () => question('web')),
      loop,
      many,
      Buffer.alloc(200, 0xff),
      Buffer.alloc(11),
    ]
    const going = flood(b, messages, 100)
    const idle = Array.from({ length: 200 }, () => {
      const fd = openSocket(b, 'tcp', '0.0.0.0', 0)
      const to = sockaddr(parseIp(FRONT), 53)
      libc.connect(fd, to, to.length)
      const socket = new Socket({ fd })
      socket.on('error', () => {})
      socket.write(Buffer.from([0xff]))
      return socket
    })
    for (let n = 0; n < 10; n++) {
      for (const ask of [askUdp, askTcp]) t.match(await asking(ask, a, 'web'), { code: 'NOERROR' }, ask.name)
      await sleep(100)
    }
    await front.add(c, named('late'))
    t.match(await asking(askUdp, a, 'late'), { code: 'NOERROR' }, 'an ADD meanwhile')
    const grown = memoryOf(daemon) - before
    await going.stop()
    for (const socket of idle) socket.destroy()
    t.comment(`${going.sent()} datagrams; memory grew by ${Math.round(grown / MB)} MB`)
    t.ok(grown < 100 * MB, `${Math.round(grown / MB)} MB`)
    t.equal(daemon.stderr.includes('died'), false, 'nothing died of it')
  },
)
