/** A counter on loopback, whose question is passed on to somebody who answers when the test says so. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { decode, encode } from 'dns-packet'
import t from 'tap'
import { Forwarder, readAnswer, type Said } from '../../../src/dns/forward.ts'
import { Batch } from '../../../src/dns/front/batch.ts'
import { Counter } from '../../../src/dns/front/counter.ts'
import { Ready } from '../../../src/dns/front/ready.ts'
import { Zone } from '../../../src/dns/zone.ts'
import { libc, must } from '../../../src/ffi/ffi.ts'
import { readSockaddr, sockaddr } from '../../../src/ffi/sockaddr.ts'
import { socketKinds } from '../../../src/ffi/socket.ts'
import { type Ip, parseIp } from '../../../src/model/address/address.ts'

const ip = '127.0.0.1' as Ip
const questions = [{ name: 'example.com', type: 'A' as const }]

/** Bound to a port that was free. */
function open(): [descriptor: number, port: number] {
  const fd = must('socket', libc.socket(2, ...socketKinds.udp))
  const to = sockaddr(parseIp(ip), 0)
  must('bind', libc.bind(fd, to, to.length))
  const [bytes, length] = [new Uint8Array(28), Uint8Array.of(28, 0, 0, 0)]
  must('getsockname', libc.getsockname(fd, bytes, length))
  return [fd, readSockaddr(bytes).port]
}

t.test('whoever asked before it was closed has an answer, also where others are asked for it', async t => {
  const zone = new Zone()
  const known = { network: 'n', container: 'c', names: [], addresses: [ip], subnets: [], domain: 'd' }
  zone.tell('c', { ...known, upstream: [parseIp('127.0.0.2')] })
  const others: ((said: Said | undefined) => void)[] = []
  const [fd, port] = open()
  const client = createSocket('udp4').bind(0, ip)
  t.teardown(() => {
    client.close()
    libc.close(fd)
  })
  let closed: Promise<void> | undefined
  const counter = new Counter(
    { address: ip, network: 'n', descriptor: fd, isHost: false },
    {
      zone,
      batch: new Batch(),
      ready: new Ready(),
      forwarder: new Forwarder(
        query =>
          new Promise(resolve =>
            others.push(() => {
              const answers = questions.map(each => ({ ...each, ttl: 5, data: '192.0.2.7' }))
              const bytes = encode({ type: 'response', id: 77, flags: 0x180, questions, answers })
              resolve(readAnswer(bytes, query, 77))
            }),
          ),
        () => false,
      ),
      // The order to leave comes between the question and its answer.
      hear: () => {
        closed ??= counter.close(true)
      },
      letNode: () => {},
      onFault: thrown => t.fail(String(thrown)),
    },
  )
  const answer = once(client, 'message')
  await once(client, 'listening')
  const question = encode({ type: 'query', id: 9, flags: 0x100, questions })
  // On loopback it has arrived when it is sent.
  await new Promise(resolve => client.send(question, port, ip, resolve))
  counter.ready(fd)
  t.equal(others.length, 1, 'others are asked')
  let isClosed = false
  void closed?.then(() => {
    isClosed = true
  })
  await new Promise(setImmediate)
  t.equal(isClosed, false, 'it waits for the others')
  for (const each of others) each(undefined)
  await closed
  const [message] = await answer
  t.match(decode(message), { id: 9, answers: [{ data: '192.0.2.7' }] })
})
