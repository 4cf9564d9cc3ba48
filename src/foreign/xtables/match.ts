/**
 * Matches of xtables, which legacy iptables consists of and which iptables puts into rules of nf_tables: each has
 * a name, a revision and a struct of its own. What is not known here is left open.
 *
 * Source: linux/netfilter/xt_*.h.
 */

import type { Family } from '../../model/address/address.ts'
import { word } from '../bits.ts'
import type { Range, Test } from '../rule.ts'
import { ebtablesReaders } from './ebtables.ts'
import { among, be16, given, hasBits, masked, one, open, type Reader, sourceOf } from './parts.ts'
import { Struct } from './struct.ts'

/** An extension as the kernel holds it. */
export interface Extension {
  name: string
  revision: number
  info: Uint8Array
}

/** Ports of a range in host byte order; the whole range asks nothing. */
function portTest(side: 'source' | 'destination', [from, to]: [number, number], not: boolean): Test[] {
  if (from === 0 && to === 0xffff && !not) return []
  const at = side === 'source' ? 0 : 2
  return [among(sourceOf('transport', 2, at), [{ from: be16(from), to: be16(to) }], not)]
}

const tcp: Reader = info => {
  const invert = info.u8(11)
  const [mask, flags] = [info.u8(9), info.u8(10)]
  return [
    ...portTest('source', [info.u16(0), info.u16(2)], (invert & 1) !== 0),
    ...portTest('destination', [info.u16(4), info.u16(6)], (invert & 2) !== 0),
    ...(mask === 0
      ? []
      : [
          among(
            { source: { of: 'transport', offset: 13, length: 1 }, mask: Uint8Array.of(mask) },
            [one(Uint8Array.of(flags))],
            (invert & 4) !== 0,
          ),
        ]),
    ...(info.u8(8) === 0 ? [] : [open('tcp --tcp-option')]),
  ]
}

const udp: Reader = info => [
  ...portTest('source', [info.u16(0), info.u16(2)], (info.u8(8) & 1) !== 0),
  ...portTest('destination', [info.u16(4), info.u16(6)], (info.u8(8) & 2) !== 0),
]

/** After the ports, the map of chunks, its type, four flags of three bytes, and their count. */
const SCTP_FLAGS_AT = 8 + 256 + 4 + 12 + 4

const sctp: Reader = info => {
  const [flags, invert] = [info.u32(SCTP_FLAGS_AT), info.u32(SCTP_FLAGS_AT + 4)]
  return [
    ...(flags & 1 ? portTest('source', [info.u16(4), info.u16(6)], (invert & 1) !== 0) : []),
    ...(flags & 2 ? portTest('destination', [info.u16(0), info.u16(2)], (invert & 2) !== 0) : []),
    ...(flags & 4 ? [open('sctp --chunk-types')] : []),
  ]
}

const multiport: Reader = info => {
  const [kind, count] = [info.u8(0), info.u8(1)]
  const values: Range[] = []
  for (let i = 0; i < count; i++) {
    const from = info.u16(2 + 2 * i)
    const isRange = info.u8(32 + i) !== 0
    values.push({ from: be16(from), to: be16(isRange ? info.u16(4 + 2 * i) : from) })
    if (isRange) i++
  }
  const sides = kind === 0 ? [0] : kind === 1 ? [2] : [0, 2]
  const of = sides.map(at => among(sourceOf('transport', 2, at), values))
  return [{ kind: 'any', of, not: info.u8(47) !== 0 }]
}

const CT = { state: 1, proto: 2, originalDestination: 8, status: 64, originalPort: 512, direction: 4096 }
const CT_OPEN = ~(0x2000 | Object.values(CT).reduce((sum, bit) => sum | bit, 0)) & 0xffff

const conntrack: Reader = (info, revision, family) => {
  const [flags, invert] = [info.u16(146), info.u16(148)]
  const not = (bit: number): boolean => (invert & bit) !== 0
  const [states, status] = revision === 1 ? [info.u8(150), info.u8(151)] : [info.u16(150), info.u16(152)]
  const length = family === 4 ? 4 : 16
  const tests: Test[] = []
  if (flags & CT.state) tests.push(stateTest(states, not(CT.state)))
  if (flags & CT.proto)
    tests.push(among(sourceOf('ct protocol', 1), [one(word(info.u16(136), 1))], not(CT.proto)))
  if (flags & CT.status) {
    tests.push(
      status === 0 ? open('conntrack --ctstatus NONE') : hasBits('ct status', status, not(CT.status)),
    )
  }
  if (flags & CT.originalDestination) {
    const [address, mask] = [info.bytes(32, length), info.bytes(48, length)]
    const part = { source: { of: 'ct original daddr', offset: 0, length }, mask }
    tests.push(among(part, [one(address)], not(CT.originalDestination)))
  }
  if (flags & CT.originalPort) {
    // From revision 3 on a range, in host byte order.
    const first = revision >= 3 ? be16(info.u16(140)) : info.bytes(140, 2)
    const last = revision >= 3 ? be16(info.u16(156)) : first
    tests.push(among(sourceOf('ct original proto-dst', 2), [{ from: first, to: last }], not(CT.originalPort)))
  }
  if (flags & CT.direction) {
    tests.push(among(sourceOf('ct direction', 1), [one(word(0, 1))], not(CT.direction)))
  }
  if (flags & CT_OPEN) tests.push(open('conntrack'))
  return tests
}

const STATE_SNAT = 1 << 6
const STATE_DNAT = 1 << 7
const STATE_UNTRACKED = 1 << 8

function stateTest(states: number, not: boolean): Test {
  const plain = (states & 0x1f) | (states & STATE_UNTRACKED ? 1 << 6 : 0)
  const of = [
    ...(plain === 0 ? [] : [hasBits('ct state', plain)]),
    ...(states & STATE_SNAT ? [hasBits('ct status', 1 << 4)] : []),
    ...(states & STATE_DNAT ? [hasBits('ct status', 1 << 5)] : []),
  ]
  const [only] = of
  if (of.length === 1 && only?.kind === 'among') return { ...only, not: only.not !== not }
  return { kind: 'any', of, not }
}

const addrtype: Reader = (info, revision) => {
  const inverts =
    revision === 0 ? [info.u32(4) !== 0, info.u32(8) !== 0] : [1, 2].map(bit => (info.u32(4) & bit) !== 0)
  return ['saddr', 'daddr'].flatMap((side, i) => {
    const types = info.u16(2 * i)
    if (types === 0) return []
    const values = Array.from({ length: 12 }, (_, type) => type)
      .filter(type => (types & (1 << type)) !== 0)
      .map(type => one(word(type)))
    return [among(sourceOf(`fib ${side} type`, 4), values, inverts[i])]
  })
}

const iprange: Reader = (info, _, family) => {
  const flags = info.u8(64)
  const length = family === 4 ? 4 : 16
  const side = (bit: number, of: string, at: number): Test[] =>
    (flags & bit) === 0
      ? []
      : [
          among(
            sourceOf(of, length),
            [{ from: info.bytes(at, length), to: info.bytes(at + 16, length) }],
            (flags & (bit << 4)) !== 0,
          ),
        ]
  return [...side(1, 'source', 0), ...side(2, 'destination', 32)]
}

const SET_DIM_SOURCE = 2

const ipset: Reader = info => {
  const [dimensions, flags] = [info.u8(2), info.u8(3)]
  const end = flags & SET_DIM_SOURCE ? 'source' : 'destination'
  const not = (flags & 1) !== 0
  const text = `${not ? '! ' : ''}-m set --match-set ${end === 'source' ? 'src' : 'dst'}`
  return dimensions === 1 ? [{ kind: 'listed', end, not, text }] : [open('set')]
}

/** What light traffic of one client is below, or not. */
const HASHLIMIT_INVERT = 1 << 4
const RECENT_SET = 2
const POLICY_NONE = 4
const RPFILTER_INVERT = 8

const never =
  (name: string): Reader =>
  () => [given(false, `-m ${name}`)]
const always =
  (name: string): Reader =>
  () => [given(true, `-m ${name}`)]

const readers: Record<string, Reader> = {
  comment: () => [],
  tcp,
  udp,
  sctp,
  multiport,
  conntrack,
  state: info => [stateTest((info.u32(0) & 0x1f) | (info.u32(0) & (1 << 6) ? STATE_UNTRACKED : 0), false)],
  addrtype,
  iprange,
  set: ipset,
  mark: info => [masked('meta mark', info.u32(0), info.u32(4), info.u8(8) !== 0)],
  connmark: info => [masked('ct mark', info.u32(0), info.u32(4), info.u8(8) !== 0)],
  limit: always('limit'),
  hashlimit: (info, revision) => [
    given((info.u32(revision < 2 ? 16 : 272) & HASHLIMIT_INVERT) === 0, '-m hashlimit'),
  ],
  connlimit: info => [given((info.u32(20) & 1) !== 0, '-m connlimit')],
  recent: info => [given(((info.u8(8) & RECENT_SET) !== 0) !== (info.u8(9) !== 0), '-m recent')],
  mac: info => [{ kind: 'listed', end: 'source', not: info.u32(8) !== 0, text: '-m mac' }],
  // What is routed has no port of a bridge, and belongs to no process of this host.
  physdev: info => [given(info.u8(64) !== 0, '-m physdev')],
  owner: info => [{ ...given(info.u8(16) === info.u8(17), '-m owner'), ofProcess: true }],
  // That of ebtables has a byte for each.
  pkttype: info => [
    among(sourceOf('meta pkttype', 1), [one(info.bytes(0, 1))], info.u8(1) !== 0 || info.u32(4) !== 0),
  ],
  policy: info => [given((info.u16(304) & POLICY_NONE) !== 0, '-m policy')],
  rpfilter: info => [given((info.u8(0) & RPFILTER_INVERT) === 0, '-m rpfilter')],
  socket: never('socket'),
  helper: never('helper'),
  cgroup: () => [{ ...given(false, '-m cgroup'), ofProcess: true }],
  connbytes: never('connbytes'),
  nfacct: always('nfacct'),
  icmp: never('icmp'),
  icmp6: never('icmp6'),
  esp: never('esp'),
  ah: never('ah'),
  dccp: never('dccp'),
  ...ebtablesReaders,
}

/** What a match asks of a packet. */
export function readMatch({ name, revision, info }: Extension, family: Family): Test[] {
  const reader = readers[name]
  return reader === undefined ? [open(name)] : reader(new Struct(info), revision, family)
}

const COMMENT_MAX = 256

/** The text of a comment, which is a match that always holds. */
export const commentOf = ({ name, info }: Extension): string | undefined =>
  name === 'comment'
    ? Buffer.from(info.subarray(0, COMMENT_MAX)).toString('utf8').split('\0', 1)[0]
    : undefined
