/** What a thread was told before somebody asked is in his answer, although whoever told it waits for no word. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { decode, encode } from 'dns-packet'
import t from 'tap'
import { Forwarder } from '../../src/dns/forward.ts'
import { Batch } from '../../src/dns/front/batch.ts'
import { Counter } from '../../src/dns/front/counter.ts'
import { Ready } from '../../src/dns/front/ready.ts'
import { Desk } from '../../src/dns/worker/desk.ts'
import { type Known, Zone } from '../../src/dns/zone.ts'
import { libc } from '../../src/ffi/ffi.ts'
import type { Cidr, Ip } from '../../src/model/address/address.ts'
import { openSocket } from '../support/dns.ts'

const NETWORK = 'front'
const webAt = (ip: string): Known => ({
  network: NETWORK,
  container: 'web',
  names: ['web'],
  addresses: [ip as Ip],
  subnets: ['10.1.0.0/16' as Cidr],
  domain: 'tsnet.internal',
})

const QUESTION = encode({ type: 'query', id: 7, flags: 0x100, questions: [{ name: 'web', type: 'A' }] })

const addressesIn = (bytes: Uint8Array): unknown[] =>
  (decode(Buffer.from(bytes)).answers ?? []).map(each => 'data' in each && each.data)

/** Somebody has the zone hear of another address each time that it listens. */
function scene() {
  const zone = new Zone()
  const forwarder = new Forwarder(
    async () => undefined,
    () => false,
  )
  const waiting: string[] = []
  const hear = (onNews: () => void) => () => {
    for (const ip of waiting.splice(0)) {
      zone.tell('web', webAt(ip))
      onNews()
    }
  }
  return { zone, forwarder, waiting, hear }
}

const fail = (thrown: unknown) => {
  throw thrown
}

t.test('over UDP, also where the question had arrived by then', async t => {
  const { zone, forwarder, waiting, hear } = scene()
  const ready = new Ready()
  const desk = {
    zone,
    batch: new Batch(),
    ready,
    forwarder,
    hear: hear(() => ready.clear()),
    letNode: () => {},
    onFault: fail,
  }
  const address = '127.0.0.1'
  const fd = openSocket({ inside: work => work() }, 'udp', address, 0)
  t.teardown(() => libc.close(fd))
  const port = portOf(fd)
  const counter = new Counter(
    { address: address as Ip, network: NETWORK, descriptor: fd, isHost: true },
    desk,
  )
  const client = createSocket('udp4')
  t.teardown(() => client.close())
  for (const ip of ['10.1.0.3', '10.1.0.4', '10.1.0.5']) {
    await new Promise(resolve => client.send(QUESTION, port, address, resolve))
    waiting.push(ip)
    const answered = once(client, 'message')
    counter.ready(fd)
    const [bytes] = await answered
    t.strictSame(addressesIn(bytes), [ip])
  }
})

t.test('over TCP', t => {
  const { zone, forwarder, waiting, hear } = scene()
  const desk = new Desk(
    zone,
    forwarder,
    hear(() => {}),
    fail,
  )
  for (const ip of ['10.1.0.3', '10.1.0.4']) {
    waiting.push(ip)
    const sent: unknown[] = []
    const asker = { network: NETWORK, ip: '127.0.0.1' as Ip, carrier: 'tcp', isHost: true } as const
    desk.take(QUESTION, asker, bytes => sent.push(...addressesIn(bytes)))
    t.strictSame(sent, [ip])
  }
  t.end()
})

/** The port that the kernel chose. */
function portOf(fd: number): number {
  const name = new Uint8Array(28)
  const length = new Uint8Array(Uint32Array.of(name.length).buffer)
  libc.getsockname(fd, name, length)
  return new DataView(name.buffer).getUint16(2)
}
