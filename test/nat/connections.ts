/** Connections as the kernel tells them: who asked whom, who answers, and which of them live. */

import t from 'tap'
import { connectionsIn } from '../../src/nat/connections.ts'
import { encodeAttribute } from '../../src/netlink/attributes.ts'
import { concatenate } from '../../src/netlink/codecs.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { done, part, ScriptedKernel } from '../support/scripted-kernel.ts'

const nest = (type: number, ...parts: Uint8Array[]): Uint8Array =>
  encodeAttribute(0x8000 | type, concatenate(parts))
const octets = (ip: string): Uint8Array => Uint8Array.from(ip.split('.'), Number)
const be16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff)

const tuple = (
  type: number,
  protocol: number,
  source: string,
  destination: string,
  ports?: [number, number],
) =>
  nest(
    type,
    nest(1, encodeAttribute(1, octets(source)), encodeAttribute(2, octets(destination))),
    nest(
      2,
      encodeAttribute(1, Uint8Array.of(protocol)),
      ...(ports ? [encodeAttribute(2, be16(ports[0])), encodeAttribute(3, be16(ports[1]))] : []),
    ),
  )

const ANSWERED = 2
const status = (bits: number) => encodeAttribute(3, Uint8Array.of(0, 0, 0, bits))
const tcpState = (state: number) => nest(4, nest(1, encodeAttribute(1, Uint8Array.of(state))))
const counted = (type: number, bytes: number) =>
  nest(type, encodeAttribute(2, Uint8Array.of(0, 0, 0, 0, 0, 0, 0, bytes)))

/** A client of port 8080, which rules have led to port 80 of a container. */
const led = (...more: Uint8Array[]): Uint8Array =>
  concatenate([
    Uint8Array.of(2, 0, 0, 0),
    tuple(1, 6, '198.51.100.7', '192.0.2.10', [4444, 8080]),
    tuple(2, 6, '10.1.0.2', '198.51.100.7', [80, 4444]),
    ...more,
  ])

function listed(...entries: Uint8Array[]) {
  const kernel = new ScriptedKernel(request => [...entries.map(bytes => part(request, bytes)), done(request)])
  return connectionsIn(new Netlink(kernel))
}

const CLIENT = {
  protocol: 6,
  from: '198.51.100.7',
  asked: '192.0.2.10',
  answers: '10.1.0.2',
  port: 8080,
  answeringPort: 80,
}

t.test(
  'who began it, what was asked for and who answers is told, and bytes where the kernel counts',
  async t => {
    t.same(listed(led(status(ANSWERED), tcpState(3))), [CLIENT])
    t.same(listed(led(status(ANSWERED), tcpState(3), counted(9, 100), counted(10, 55))), [
      { ...CLIENT, bytes: 155 },
    ])
  },
)

t.test('what has no ports is told without', async t => {
  const ping = concatenate([
    Uint8Array.of(2, 0, 0, 0),
    tuple(1, 1, '10.1.0.2', '8.8.8.8'),
    tuple(2, 1, '8.8.8.8', '192.0.2.10'),
    status(ANSWERED),
  ])
  t.same(listed(ping), [{ protocol: 1, from: '10.1.0.2', asked: '8.8.8.8', answers: '8.8.8.8' }])
})

t.test(
  'what nobody has answered, and what both have closed, is none; older kernels tell it all the same',
  async t => {
    t.same(
      listed(
        led(status(0), tcpState(3)),
        led(status(ANSWERED), tcpState(7)),
        led(status(ANSWERED), tcpState(8)),
      ),
      [],
    )
  },
)

t.test('half a message is none', async t => {
  t.same(listed(concatenate([Uint8Array.of(2, 0, 0, 0), status(ANSWERED)])), [])
  t.same(listed(concatenate([Uint8Array.of(2, 0, 0, 0), nest(1), nest(2), status(ANSWERED)])), [])
})
