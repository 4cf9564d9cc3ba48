/** What is asked of kernels that can choose what to forget, and of those that cannot. */

import t from 'tap'
import type { Ip } from '../../src/model/address/address.ts'
import type { PortMapping } from '../../src/model/port-mapping.ts'
import { forgetConnections } from '../../src/nat/conntrack.ts'
import { IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_GET } from '../../src/netfilter/constants.ts'
import { encodeAttribute } from '../../src/netlink/attributes.ts'
import { concatenate } from '../../src/netlink/codecs.ts'
import { NLM_F_DUMP } from '../../src/netlink/constants.ts'
import { Netlink } from '../../src/netlink/netlink.ts'
import { ack, done, part, refusal, ScriptedKernel, type Turn } from '../support/scripted-kernel.ts'

const NESTED = 0x8000
const nest = (type: number, ...parts: Uint8Array[]): Uint8Array =>
  encodeAttribute(NESTED | type, concatenate(parts))
const octets = (ip: string): Uint8Array => Uint8Array.from(ip.split('.'), Number)

const tuple = (type: number, source: string, destination: string, [from, to]: [number, number]): Uint8Array =>
  nest(
    type,
    nest(1, encodeAttribute(1, octets(source)), encodeAttribute(2, octets(destination))),
    nest(
      2,
      encodeAttribute(1, Uint8Array.of(17)),
      encodeAttribute(2, Uint8Array.of(from >> 8, from & 0xff)),
      encodeAttribute(3, Uint8Array.of(to >> 8, to & 0xff)),
    ),
  )

/** A UDP connection that was led to a container. */
const entry = (client: string, host: string, port: number, container: string, id: number): Uint8Array =>
  concatenate([
    Uint8Array.of(2, 0, 0, 0),
    tuple(1, client, host, [4444, port]),
    tuple(2, container, client, [53, 4444]),
    encodeAttribute(12, Uint8Array.of(0, 0, 0, id)),
  ])

const yes: Turn = request => [ack(request)]
const no: Turn = request => [refusal(request, 'EINVAL')]
const gone: Turn = request => [refusal(request, 'ENOENT')]
const listing =
  (...entries: Uint8Array[]): Turn =>
  request => [...entries.map(bytes => part(request, bytes)), done(request)]

const local = () => new Set(['192.0.2.1', '10.1.0.1'] as Ip[])
const udp = (hostPort: number, changes: Partial<PortMapping> = {}): PortMapping => ({
  protocol: 'udp',
  hostPort,
  containerPort: 53,
  count: 1,
  ...changes,
})

const web = ['10.1.0.2' as Ip]
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex')

t.test('a kernel that can choose is asked once for each direction', async t => {
  const kernel = new ScriptedKernel(yes, yes)
  forgetConnections(new Netlink(kernel), web, [], local)
  t.strictSame(
    kernel.requests.map(({ type }) => type),
    [IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_DELETE],
  )
  // Version 1, for a flush to honour the family; a tuple of a source address; compare that of the request.
  const source = '100001800c000180080001000a010002'
  t.equal(hex(kernel.requests[0]?.payload), `02010000${source}1400198008000100010000000800020000000000`)
})

t.test('another is asked what there is, and forgets what matches, one by one', async t => {
  const mine = entry('192.0.2.9', '192.0.2.1', 5353, '10.1.0.2', 1)
  const other = entry('192.0.2.9', '192.0.2.1', 5353, '10.1.0.3', 2)
  const kernel = new ScriptedKernel(no, listing(other), no, listing(other, mine), yes)
  forgetConnections(new Netlink(kernel), web, [], local)
  const [, dump, , , removal] = kernel.requests
  t.equal(dump?.type, IPCTNL_MSG_CT_GET)
  t.equal((dump?.flags ?? 0) & NLM_F_DUMP, NLM_F_DUMP)
  t.equal(removal?.type, IPCTNL_MSG_CT_DELETE)
  t.equal(
    hex(removal?.payload),
    hex(concatenate([mine.subarray(0, 4), mine.subarray(4, 56), mine.subarray(108)])),
  )
})

t.test('one that has ended by itself is forgotten already', async t => {
  const mine = entry('192.0.2.9', '192.0.2.1', 5353, '10.1.0.2', 1)
  const kernel = new ScriptedKernel(yes, no, listing(mine), gone)
  t.doesNotThrow(() => forgetConnections(new Netlink(kernel), web, [], local))
})

t.test('a published UDP port is forgotten for each address of the host', async t => {
  const kernel = new ScriptedKernel(yes, yes, yes, yes)
  forgetConnections(new Netlink(kernel), web, [udp(5353)], local)
  t.match(hex(kernel.requests[2]?.payload), /c0000201/)
  t.match(hex(kernel.requests[3]?.payload), /0a010001/)
})

t.test('one address needs one question, and each protocol its own', async t => {
  const kernel = new ScriptedKernel(yes, yes, yes, yes)
  const hostIp = '192.0.2.7' as Ip
  const ports = [udp(53, { hostIp }), udp(80, { hostIp, protocol: 'tcp' })]
  forgetConnections(new Netlink(kernel), web, ports, local)
  for (const [at, protocol, port] of [
    [2, '06', '0050'],
    [3, '11', '0035'],
  ] as const) {
    const payload = hex(kernel.requests[at]?.payload)
    t.match(payload, /c0000207/)
    t.match(payload, new RegExp(`05000100${protocol}.*06000300${port}`))
  }
})

t.test('a large range is listed; what was sent to others is left alone', async t => {
  const toUs = entry('192.0.2.9', '192.0.2.1', 5400, '10.1.0.9', 1)
  const toOthers = entry('10.1.0.2', '8.8.8.8', 5400, '8.8.8.8', 2)
  const outside = entry('192.0.2.9', '192.0.2.1', 7000, '10.1.0.9', 3)
  const kernel = new ScriptedKernel(yes, yes, listing(toUs, toOthers, outside), yes)
  forgetConnections(new Netlink(kernel), web, [udp(5353, { count: 1000 })], local)
  t.match(hex(kernel.requests[3]?.payload), /0{7}1$/)
})
