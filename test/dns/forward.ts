/** Asking others: name servers on loopback that answer as each test wants. */

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { decode, encode } from 'dns-packet'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { type Asker, answer } from '../../src/dns/answer.ts'
import { Forwarder, type ForwardLimits } from '../../src/dns/forward.ts'
import { overUdp } from '../../src/dns/front/over-udp.ts'
import { framed } from '../../src/dns/worker/frames.ts'
import { overTcp } from '../../src/dns/worker/over-tcp.ts'
import { Zone } from '../../src/dns/zone.ts'
import { Descriptors } from '../../src/ffi/reactor/descriptors.ts'
import { Reactor } from '../../src/ffi/reactor/reactor.ts'
import type { Timed } from '../../src/ffi/reactor/timers.ts'
import type { Ip } from '../../src/model/address/address.ts'

const [first, second] = ['127.0.0.21', '127.0.0.22'] as Ip[]
const client: Asker = { network: 'n', ip: '10.1.0.2' as Ip, carrier: 'udp', isHost: false }

/** What goes on with a question of a client. */
function forwarded(name: string, id = 9, upstream: Ip[] = []) {
  const zone = new Zone()
  zone.tell('c', {
    network: 'n',
    container: 'c',
    names: [],
    addresses: [client.ip],
    subnets: [],
    domain: 'd',
    upstream,
  })
  const outcome = answer(
    encode({ type: 'query', id, flags: 0x100, questions: [{ name, type: 'A' }] }),
    client,
    zone,
  )
  if (outcome?.kind !== 'forward') throw new Error('it is not forwarded')
  return outcome
}

type Handler = (question: Buffer, from: RemoteInfo, socket: Socket) => void

class NameServer {
  readonly asked: Buffer[] = []
  readonly #socket = createSocket('udp4')

  constructor(handle: Handler) {
    this.#socket.on('message', (message, from) => {
      this.asked.push(message)
      handle(message, from, this.#socket)
    })
  }

  async listen(ip: Ip, port = 0): Promise<number> {
    this.#socket.bind(port, ip)
    await once(this.#socket, 'listening')
    return this.#socket.address().port
  }

  [Symbol.dispose](): void {
    this.#socket.close()
  }
}

const answerTo = (question: Buffer, data = '192.0.2.1', more: object = {}): Buffer => {
  const { id = 0, questions = [] } = decode(question)
  const [{ name = '' } = {}] = questions
  return encode({ type: 'response', id, questions, answers: [{ name, type: 'A', data }], ...more })
}

const says =
  (data: string, more = {}): Handler =>
  (question, from, socket) =>
    socket.send(answerTo(question, data, more), from.port, from.address)
const isSilent: Handler = () => {}

/** A loop that is never long in the kernel, so that the servers have their turns. */
const reactor = new Reactor(new Descriptors(Descriptors.table()), thrown => t.fail(String(thrown)))
const hurried: Timed = {
  wakeAt: 0,
  heapIndex: -1,
  expire: () => {
    reactor.timers.set(hurried, reactor.now + 1)
    reactor.letNode()
  },
  fail: () => {},
}
reactor.timers.set(hurried, 0)
reactor.runBesideNode()
t.teardown(() => reactor.stop())

const forwarder = (
  port: number,
  more: Partial<ForwardLimits> = {},
  isOurs = (_: Ip) => false,
  way = overUdp(reactor),
) => {
  const made = new Forwarder(way, isOurs, { port, tryMs: 200, ...more })
  made.hosts = [first as Ip]
  return made
}

const readOf = (bytes: Uint8Array | string | undefined) => {
  if (bytes === undefined || typeof bytes === 'string') return bytes
  const { id, answers = [] } = decode(Buffer.from(bytes))
  return { id, data: answers.map(each => 'data' in each && each.data) }
}

t.test(
  'a question goes on under another number, from another port each time, and comes back under its own',
  async t => {
    const ports = new Set<number>()
    using server = new NameServer((question, from, socket) => {
      ports.add(from.port)
      says('192.0.2.1')(question, from, socket)
    })
    const asks = forwarder(await server.listen(first as Ip))
    for (let n = 0; n < 20; n++)
      t.strictSame(readOf(await asks.ask(forwarded('example.com'), client)), { id: 9, data: ['192.0.2.1'] })
    const ids = new Set(server.asked.map(message => message.readUInt16BE(0)))
    t.ok(ids.size > 15, `${ids.size} numbers`)
    t.ok(ports.size > 15, `${ports.size} ports`)
    t.equal(asks.going, 0)
  },
)

t.test('what is no answer to the question is not taken for one', async t => {
  const changed =
    (change: (bytes: Buffer) => unknown, cut = 0) =>
    (bytes: Buffer): Buffer => {
      change(bytes)
      return bytes.subarray(0, bytes.length - cut)
    }
  const wrong: Record<string, (answer: Buffer) => Buffer> = {
    'another number': changed(bytes => bytes.writeUInt16BE(bytes.readUInt16BE(0) ^ 1, 0)),
    'another question': changed(bytes => bytes.write('f', 13)),
    'a question': changed(bytes => bytes.writeUInt16BE(0x100, 2)),
    'cut off': changed(() => {}, 1),
    'more than it says': bytes => Buffer.concat([bytes, Buffer.from([0])]),
    'an address of 3 bytes': changed(bytes => bytes.writeUInt16BE(3, bytes.length - 6), 1),
  }
  for (const [name, change] of Object.entries(wrong)) {
    using server = new NameServer((question, from, socket) => {
      socket.send(change(answerTo(question, '192.0.2.66')), from.port, from.address)
      socket.send(answerTo(question), from.port, from.address)
    })
    const asks = forwarder(await server.listen(first as Ip))
    t.strictSame(
      readOf(await asks.ask(forwarded('example.com'), client)),
      { id: 9, data: ['192.0.2.1'] },
      name,
    )
  }
})

t.test('who does not answer is asked last from then on, and who cannot is not taken at his word', async t => {
  using silent = new NameServer(isSilent)
  const port = await silent.listen(first as Ip)
  using good = new NameServer(says('192.0.2.2'))
  await good.listen(second as Ip, port)
  const asks = forwarder(port)
  asks.hosts = [first, second] as Ip[]
  for (let n = 0; n < 3; n++)
    t.match(readOf(await asks.ask(forwarded('example.com'), client)), { data: ['192.0.2.2'] })
  t.equal(silent.asked.length, 1)
  t.equal(good.asked.length, 3)
  asks.hosts = [first] as Ip[]
  t.equal(await asks.ask(forwarded('example.com'), client), undefined, 'nobody answers')
})

t.test(
  'of two that fail the last is passed on, and of one that fails and one that does not the other',
  async t => {
    using failing = new NameServer((question, from, socket) => {
      socket.send(answerTo(question, '192.0.2.1', { flags: 2, answers: [] }), from.port, from.address)
    })
    const port = await failing.listen(first as Ip)
    const asks = forwarder(port)
    const said = await asks.ask(forwarded('example.com'), client)
    t.match(said && said !== 'refused' && decode(Buffer.from(said)), { rcode: 'SERVFAIL' })
    using good = new NameServer(says('192.0.2.2'))
    await good.listen(second as Ip, port)
    t.match(readOf(await asks.ask(forwarded('example.com', 9, [first, second] as Ip[]), client)), {
      data: ['192.0.2.2'],
    })
  },
)

t.test('neither we ourselves are asked nor the client', async t => {
  using server = new NameServer(says('192.0.2.1'))
  const port = await server.listen(first as Ip)
  const ours = forwarder(port, {}, server => server === first)
  t.equal(await ours.ask(forwarded('example.com'), client), undefined)
  const asks = forwarder(port)
  t.equal(await asks.ask(forwarded('example.com'), { ...client, ip: first as Ip }), undefined)
  t.equal(server.asked.length, 0)
  t.match(readOf(await asks.ask(forwarded('example.com'), client)), { data: ['192.0.2.1'] }, 'a control')
})

t.test(
  'questions under way are bounded, of one client and of all, and the same one is asked once',
  async t => {
    using silent = new NameServer(isSilent)
    const asks = forwarder(await silent.listen(first as Ip), { most: 3, mostOfOne: 2, tries: 1 })
    const other = { ...client, ip: '10.1.0.3' as Ip }
    const going = [
      asks.ask(forwarded('a.example'), client, 'here'),
      asks.ask(forwarded('a.example'), client, 'here'),
      asks.ask(forwarded('b.example'), client, 'here'),
      asks.ask(forwarded('c.example'), client, 'here'),
      asks.ask(forwarded('a.example'), other, 'there'),
      asks.ask(forwarded('b.example'), other, 'there'),
    ]
    t.strictSame(await Promise.all(going), [undefined, 'refused', undefined, 'refused', undefined, 'refused'])
    t.equal(asks.going, 0)
  },
)

t.test('by TCP a question goes on by TCP, and a long answer comes back', async t => {
  const answers = Array.from({ length: 500 }, (_, i) => ({
    name: 'example.com',
    type: 'A' as const,
    data: `192.0.${i >> 8}.${i & 255}`,
  }))
  const server: Server = createServer(socket =>
    socket.on('data', data => socket.write(framed(answerTo(data.subarray(2), '', { answers })))),
  )
  server.listen(0, first)
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const asks = forwarder(port, { tryMs: 5_000 }, () => false, overTcp)
  const said = readOf(await asks.ask(forwarded('example.com'), { ...client, carrier: 'tcp' }))
  t.equal(typeof said === 'object' && said.data.length, 500)
  server.close()
  await waitFor(() => new Promise<boolean>(resolve => server.getConnections((_, n) => resolve(n === 0))), {
    what: 'the connection to end',
  })
})

t.test('an answer that is too long is cut between two records', async t => {
  const answers = Array.from({ length: 60 }, (_, i) => ({
    name: 'example.com',
    type: 'A' as const,
    data: `192.0.2.${i}`,
  }))
  using server = new NameServer(says('', { answers }))
  const asks = forwarder(await server.listen(first as Ip))
  const said = await asks.ask(forwarded('example.com'), client)
  const bytes = Buffer.from(said as Uint8Array)
  t.ok(bytes.length <= 512)
  t.match(decode(bytes), { flag_tc: true, id: 9 })
  t.ok((decode(bytes).answers ?? []).length > 10)
})
