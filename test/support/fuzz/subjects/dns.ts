/** Questions of containers, answers of name servers, and messages over TCP in pieces. */

import { equal, ok } from 'node:assert/strict'
import { decode, encode } from 'dns-packet'
import { type Asker, answer } from '../../../../src/dns/answer.ts'
import { hostServersIn } from '../../../../src/dns/host-servers.ts'
import { passOn, roomFor } from '../../../../src/dns/print.ts'
import { isRefused, readQuery } from '../../../../src/dns/query.ts'
import { readMessage } from '../../../../src/dns/walk.ts'
import { Frames, framed } from '../../../../src/dns/worker/frames.ts'
import { Zone } from '../../../../src/dns/zone.ts'
import type { Cidr, Ip } from '../../../../src/model/address/address.ts'
import { ofBytes } from '../bytes.ts'
import { subjects } from '../fuzz.ts'
import { ofText } from '../texts.ts'

const asker: Asker = { network: 'n', ip: '10.1.0.2' as Ip, carrier: 'udp', isHost: false }
const zone = new Zone()
zone.tell('web', {
  network: 'n',
  container: 'web',
  names: ['web'],
  id: '0123456789abcdef',
  addresses: ['10.1.0.2', 'fd00::2'] as Ip[],
  subnets: ['10.1.0.0/16' as Cidr],
  domain: 'tsnet.internal',
  upstream: [],
})

const ask = (name: string, type: string): Buffer =>
  encode({
    type: 'query',
    id: 7,
    flags: 0x100,
    questions: [{ name, type: type as 'A' }],
    additionals: [
      {
        name: '.',
        type: 'OPT',
        udpPayloadSize: 1232,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: true,
        options: [],
      },
    ],
  })

const questions = [
  ask('web', 'A'),
  ask('web.tsnet.internal', 'AAAA'),
  ask('2.0.1.10.in-addr.arpa', 'PTR'),
  ask('example.com', 'MX'),
]

const said = encode({
  type: 'response',
  id: 7,
  flags: 0x8100,
  questions: [{ name: 'example.com', type: 'A' }],
  answers: [
    { name: 'example.com', type: 'CNAME', data: 'www.example.com' },
    { name: 'www.example.com', type: 'A', data: '192.0.2.1' },
    { name: 'www.example.com', type: 'MX', data: { preference: 1, exchange: 'mail.example.com' } },
  ],
  authorities: [
    {
      name: 'example.com',
      type: 'SOA',
      data: {
        mname: 'ns.example.com',
        rname: 'me.example.com',
        serial: 1,
        refresh: 2,
        retry: 3,
        expire: 4,
        minimum: 5,
      },
    },
  ],
})
/** Names that are pointers to names. */
const pointed = Buffer.concat([
  said.subarray(0, 12),
  Buffer.from('076578616d706c6503636f6d0000010001', 'hex'),
  Buffer.from('c00c00050001000000000002c00c', 'hex'),
])
pointed.writeUInt16BE(1, 6)
pointed.writeUInt32BE(0, 8)

export const ofDns = subjects(
  ofBytes('dns/question', {
    samples: questions,
    head: 12,
    refusals: [],
    read: bytes => answer(bytes, asker, zone),
  }),
  ofBytes('dns/answer', {
    samples: [said, pointed],
    head: 12,
    refusals: [],
    read: bytes => {
      const query = readQuery(questions[3] ?? bytes)
      const message = readMessage(bytes)
      if (message === undefined || query === undefined || isRefused(query)) return undefined
      // What is a message to us is one to others.
      decode(Buffer.from(bytes))
      const passed = passOn(query, 'udp', bytes, message)
      ok(passed.length <= Math.max(roomFor(query, 'udp'), message.question.end + 11))
      return message.records.length
    },
  }),
  ofBytes('dns/frames', {
    samples: [framed(questions[0] ?? said)],
    refusals: [],
    read: bytes => {
      const whole = new Frames().take(bytes)
      const pieces = new Frames()
      const half = bytes.length >> 1
      const parts = [...(pieces.take(bytes.slice(0, half)) ?? []), ...(pieces.take(bytes.slice(half)) ?? [])]
      equal(parts.length, whole?.length)
      return whole
    },
  }),
  ofText('dns/host-servers', {
    samples: ['nameserver 127.0.0.53\noptions edns0\n', 'nameserver 192.0.2.1\n nameserver ::1\nsearch a\n'],
    tokens: ['nameserver ', '\n', '192.0.2.1', 'fe80::1%eth0', '#'],
    refusals: [],
    read: hostServersIn,
  }),
)
