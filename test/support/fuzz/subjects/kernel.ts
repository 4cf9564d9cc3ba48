/** What the kernel says: rtnetlink, sock_diag, conntrack, socket addresses, BTF, and tables of /proc. */

import { ok } from 'node:assert/strict'
import { memberOffset } from '../../../../src/bpf/btf.ts'
import { readSockaddr } from '../../../../src/ffi/sockaddr.ts'
import { parseIp } from '../../../../src/model/address/address.ts'
import { TsnetError } from '../../../../src/model/errors.ts'
import type { Protocol } from '../../../../src/model/port-mapping.ts'
import { connectionsIn } from '../../../../src/nat/connections.ts'
import { forgetConnections } from '../../../../src/nat/conntrack.ts'
import { readAddress } from '../../../../src/netlink/address.ts'
import { MalformedError } from '../../../../src/netlink/codecs.ts'
import { NLMSG_DONE, NLMSG_ERROR } from '../../../../src/netlink/constants.ts'
import { describe } from '../../../../src/netlink/describe.ts'
import { readVlans } from '../../../../src/netlink/link/bridge-port.ts'
import { readFdbEntry } from '../../../../src/netlink/link/fdb.ts'
import { readLink } from '../../../../src/netlink/link/link.ts'
import { bridgeLinkMessage } from '../../../../src/netlink/link/tables.ts'
import { eachMessage, readVerdict } from '../../../../src/netlink/message.ts'
import { readNeighbour } from '../../../../src/netlink/neighbour.ts'
import type { Netlink } from '../../../../src/netlink/netlink.ts'
import { readFilter } from '../../../../src/netlink/qdisc/filter.ts'
import { readQdisc } from '../../../../src/netlink/qdisc/qdisc.ts'
import { readRoute } from '../../../../src/netlink/route.ts'
import { readListener, readSocket } from '../../../../src/netlink/sock-diag.ts'
import { parseListening } from '../../../../src/runtime/listening.ts'
import { captured, capturedBytes, captureNames } from '../../captures.ts'
import { ofBytes } from '../bytes.ts'
import { subjects } from '../fuzz.ts'
import { ofText } from '../texts.ts'

const payloads = captureNames.map(name => captured(name).payload)
const whole = captureNames.map(capturedBytes)
const refusals = [MalformedError]

const verdictOf = (type: number) => (payload: Uint8Array) =>
  readVerdict({ type, flags: 0x200, sequence: 1, port: 0, payload })

const ofRtnetlink = (name: string, read: (payload: Uint8Array) => unknown) =>
  ofBytes(`netlink/${name}`, { samples: payloads, head: 16, read, refusals })

/** struct inet_diag_msg of 10.0.0.1:4096 → 10.0.0.2:80 with a value of a map, as attributes within one another. */
const diagnosed = Uint8Array.from([
  ...[2, 1, 0, 0, 0x10, 0, 0, 80, 10, 0, 0, 1],
  ...new Array(12).fill(0),
  ...[10, 0, 0, 2],
  ...new Array(44).fill(0),
  ...[28, 0, 20, 0x80, 24, 0, 1, 0x80, 8, 0, 2, 0, 7, 0, 0, 0, 12, 0, 3, 0, 1, 2, 3, 4, 5, 6, 7, 8],
])

/** An entry of conntrack: 10.0.0.1:5000 → 10.0.0.2:53 over UDP, and back. */
const tracked = Uint8Array.from([
  ...[2, 0, 0, 0],
  ...[1, 2].flatMap(direction => [
    ...[52, 0, direction, 0x80, 20, 0, 1, 0x80, 8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 2, 0, 10, 0, 0, 2],
    ...[28, 0, 2, 0x80, 5, 0, 1, 0, 17, 0, 0, 0, 6, 0, 2, 0, 0x13, 0x88, 0, 0, 6, 0, 3, 0, 0, 53, 0, 0],
  ]),
  ...[8, 0, 12, 0, 1, 2, 3, 4],
])

/** What a kernel that cannot choose is asked to forget of what it lists. */
function tracking(payload: Uint8Array): unknown {
  const named: number[][] = []
  const nl = {
    change(request: { equivalent: string; payload: Uint8Array[] }) {
      if (request.equivalent !== 'conntrack -D') throw Object.assign(new Error('no'), { code: 'EOPNOTSUPP' })
      named.push([...(request.payload[0] ?? [])])
    },
    dump: () => [{ payload }],
  } as unknown as Netlink
  forgetConnections(nl, [parseIp('10.0.0.2')], [], () => new Set())
  return named
}

/** A struct of one member, as vmlinux has them. */
const btf = (() => {
  const strings = Buffer.from('\0sock\0sk_mark\0')
  const types = Int32Array.from([1, (4 << 24) | 1, 8, 6, 0, 64])
  const bytes = Buffer.alloc(24 + types.byteLength + strings.length)
  bytes.writeUInt16LE(0xeb9f, 0)
  bytes.writeUInt8(1, 2)
  bytes.writeUInt32LE(24, 4)
  bytes.writeUInt32LE(types.byteLength, 12)
  bytes.writeUInt32LE(types.byteLength, 16)
  bytes.writeUInt32LE(strings.length, 20)
  Buffer.from(types.buffer).copy(bytes, 24)
  strings.copy(bytes, 24 + types.byteLength)
  return Uint8Array.from(bytes)
})()

const SOCKETS: Record<Protocol, string> = {
  tcp: '  sl  local_address rem_address   st\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0\n',
  udp: '   7: 00000000:0035 00000000:0000 07 00000000:00000000\n   8: 0000000000000000FFFF00000100007F:14E9 0:0 07 0\n',
  sctp: ' ENDPT     SOCK   STY SST HBKT LPORT   UID INODE LADDRS\n 0 0 2 10 29 11111 0 64042 127.0.0.1 *10.0.0.1 fd00::1\n',
}

const listening = (protocol: Protocol) =>
  ofText(`runtime/listening-${protocol}`, {
    samples: [SOCKETS[protocol]],
    tokens: ['0A', '0100007F:1F90', '   0: ', ' 0A ', '\n', '127.0.0.1', '*'],
    refusals: [],
    read: text => parseListening(text, protocol),
    check: ports => {
      for (const { port } of ports) ok(Number.isInteger(port) && port >= 0 && port <= 65_535, `port ${port}`)
    },
  })

export const ofKernel = subjects(
  ofRtnetlink('link', payload => readLink({ payload })),
  ofRtnetlink('address', payload => readAddress({ payload })),
  ofRtnetlink('route', payload => readRoute({ payload })),
  ofRtnetlink('neighbour', payload => readNeighbour({ payload })),
  ofRtnetlink('fdb', payload => readFdbEntry({ payload })),
  ofRtnetlink('qdisc', payload => readQdisc({ payload })),
  ofRtnetlink('filter', payload => readFilter({ payload })),
  ofRtnetlink('vlans', payload => readVlans(bridgeLinkMessage.decode(payload).attributes.spec?.vlans)),
  ofRtnetlink('refusal', verdictOf(NLMSG_ERROR)),
  ofRtnetlink('done', verdictOf(NLMSG_DONE)),
  ofBytes('netlink/datagram', {
    samples: whole,
    head: 16,
    refusals,
    read: bytes => [...eachMessage(bytes)].map(message => ({ ...message, payload: [...message.payload] })),
  }),
  ofBytes('netlink/describe', {
    samples: whole,
    head: 16,
    refusals,
    read: bytes => {
      const words = describe(bytes)
      ok(typeof words === 'string')
      return words
    },
  }),
  ofBytes('netlink/sock-diag', {
    samples: [diagnosed],
    head: 72,
    refusals,
    read: bytes => readSocket(bytes, 4),
  }),
  ofBytes('netlink/listener', {
    samples: [diagnosed],
    head: 72,
    refusals,
    read: bytes => [readListener(bytes, 4), readListener(bytes, 6)],
  }),
  ofBytes('nat/conntrack', { samples: [tracked], refusals, read: tracking }),
  ofBytes('nat/connections', {
    samples: [tracked],
    refusals,
    read: payload => connectionsIn({ dump: () => [{ payload }] } as unknown as Netlink),
  }),
  ofBytes('ffi/sockaddr', {
    samples: [Uint8Array.from([2, 0, 0, 80, 127, 0, 0, 1, ...new Array(8).fill(0)])],
    refusals: [RangeError],
    read: readSockaddr,
  }),
  ofBytes('bpf/btf', {
    samples: [btf],
    head: 24,
    refusals: [TsnetError],
    read: bytes => memberOffset(bytes, 'sock', 'sk_mark'),
  }),
  listening('tcp'),
  listening('udp'),
  listening('sctp'),
)
