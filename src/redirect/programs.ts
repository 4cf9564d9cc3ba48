/**
 * The programs: what happens as a socket names its peer, and as somebody asks a socket for it.
 *
 *     connect       a published loopback address → the container's; the socket remembers both
 *     getpeername   the container's address, where the socket remembers it → what was asked for
 *
 * What a redirected socket could not do, or would show, stays as it was, for the proxy: sockets that are bound to
 * loopback or to a device, those of IPv6 alone (IPV6_V6ONLY) where the container has IPv4, and MPTCP's, whose
 * getpeername(2) is asked of another socket than the one that connects. A socket without room for the memory too.
 *
 * Source: linux/bpf.h, struct bpf_sock_addr, struct bpf_sock, the helpers' numbers.
 */

import {
  addImm,
  addReg,
  andImm32,
  atomicAdd,
  call,
  exit,
  FP,
  ja,
  jmp,
  jmp32,
  jmp32Reg,
  type Line,
  label,
  ldMap,
  ldx,
  movImm,
  movReg,
  R0,
  R1,
  R2,
  R3,
  R4,
  R6,
  R7,
  R8,
  st,
  stx,
  toBe16,
} from '../bpf/instructions.ts'
import type { Family } from '../model/address/address.ts'
import { ADDRESS_BITS, ASKED, FIXED_BITS, KEY, PORT_BITS, TARGET } from './layout.ts'

/** struct bpf_sock_addr */
const CTX = { ip4: 4, ip6: 8, port: 24, protocol: 36, sk: 64 } as const
/** struct bpf_sock */
const SK = { boundDevice: 0, ip4: 24, ip6: 28 } as const

/** BPF_FUNC_* */
const HELPER = {
  map_lookup_elem: 1,
  sk_storage_get: 107,
  get_netns_cookie: 122,
  skc_to_tcp6_sock: 136,
  skc_to_mptcp_sock: 196,
} as const
const SK_STORAGE_GET_F_CREATE = 1

// Four bytes in network byte order, as a little-endian machine loads them.
const MAPPED = 0xffff0000 | 0 // 0000ffff, before an IPv4 address
const ONE = 0x01000000 // 00000001, the end of ::1
const IPPROTO_TCP = 6

/** The context, what stands under the key, the socket's memory: kept over calls. */
const [CONTEXT, FOUND, MEMORY] = [R6, R7, R8]
// The stack: the key, so that its cookie is aligned to eight, and the index of a count.
const KEY_AT = -36
const INDEX_AT = -40

/** Descriptors of the maps, see layout.ts. */
export interface Maps {
  targets: number
  counts: number
  asked: number
}

/** What this kernel tells about a socket, and what must do where it does not. */
export interface Knowledge {
  /** Where skc_ipv6only is in struct sock_common, in bits; absent: IPv6 sockets never go to IPv4. */
  v6only?: number
  /** There is a helper that knows MPTCP (Linux 5.19). */
  mptcp: boolean
}

/** BPF_CGROUP_INET{4,6}_CONNECT */
export const connectProgram = (family: Family, maps: Maps, knows: Knowledge): Line[] => [
  movReg(CONTEXT, R1),
  // First what most connects have that are none of ours.
  ...(family === 4 ? namedIp4 : namedIp6),
  ldx('W', R2, CONTEXT, CTX.protocol),
  jmp32('JNE', R2, IPPROTO_TCP, 'pass'),
  ...passIfBound(family),
  st('W', FP, KEY_AT + KEY.prefix, FIXED_BITS + PORT_BITS + ADDRESS_BITS),
  ldx('W', R2, CONTEXT, CTX.port),
  stx('H', FP, KEY_AT + KEY.port, R2),
  movReg(R1, CONTEXT),
  call(HELPER.get_netns_cookie),
  stx('DW', FP, KEY_AT + KEY.cookie, R0),
  ...lookup(maps.targets, KEY_AT),
  movReg(FOUND, R0),
  ...passIfOtherFamily(family, knows),
  ...(knows.mptcp ? passIfMptcp : []),

  ...ldMap(R1, maps.asked),
  ldx('DW', R2, CONTEXT, CTX.sk),
  movImm(R3, 0),
  movImm(R4, SK_STORAGE_GET_F_CREATE),
  call(HELPER.sk_storage_get),
  jmp('JEQ', R0, 0, 'pass'),
  movReg(MEMORY, R0),
  ...copyAddress(FP, KEY_AT + KEY.address, MEMORY, ASKED.address),
  ...copyAddress(FOUND, TARGET.address, MEMORY, ASKED.toAddress),
  ldx('W', R2, CONTEXT, CTX.port),
  stx('H', MEMORY, ASKED.port, R2),
  toBe16(R2),
  ldx('H', R3, FOUND, TARGET.delta),
  addReg(R2, R3),
  toBe16(R2),
  stx('H', MEMORY, ASKED.toPort, R2),

  ldx('W', R2, FOUND, TARGET.count),
  stx('W', FP, INDEX_AT, R2),
  ...lookup(maps.counts, INDEX_AT),
  movImm(R2, 1),
  atomicAdd(R0, 0, R2),

  ...writePeer(family, ASKED.toAddress, ASKED.toPort),
  ...pass,
]

/** BPF_CGROUP_INET{4,6}_GETPEERNAME */
export const peerNameProgram = (family: Family, { asked }: Pick<Maps, 'asked'>): Line[] => [
  movReg(CONTEXT, R1),
  ...ldMap(R1, asked),
  ldx('DW', R2, CONTEXT, CTX.sk),
  movImm(R3, 0),
  movImm(R4, 0),
  call(HELPER.sk_storage_get),
  jmp('JEQ', R0, 0, 'pass'),
  movReg(MEMORY, R0),
  // A socket may connect again, to whom it likes.
  ldx('W', R2, CONTEXT, CTX.port),
  ldx('H', R3, MEMORY, ASKED.toPort),
  jmp32Reg('JNE', R2, R3, 'pass'),
  ...wordsOf(family).flatMap(word => [
    ldx('W', R2, CONTEXT, contextAt(family, word)),
    ldx('W', R3, MEMORY, ASKED.toAddress + 4 * word),
    jmp32Reg('JNE', R2, R3, 'pass'),
  ]),
  ...writePeer(family, ASKED.address, ASKED.port),
  ...pass,
]

const pass: Line[] = [label('pass'), movImm(R0, 1), exit()]

const wordsOf = (family: Family): number[] => (family === 4 ? [3] : [0, 1, 2, 3])

const contextAt = (family: Family, word: number): number => (family === 4 ? CTX.ip4 : CTX.ip6 + 4 * word)

/** Leaves the loopback address that was named in the key. */
const namedIp4: Line[] = [
  ldx('W', R2, CONTEXT, CTX.ip4),
  movReg(R3, R2),
  andImm32(R3, 0xff),
  jmp32('JNE', R3, 127, 'pass'),
  st('W', FP, KEY_AT + KEY.address, 0),
  st('W', FP, KEY_AT + KEY.address + 4, 0),
  st('W', FP, KEY_AT + KEY.address + 8, MAPPED),
  stx('W', FP, KEY_AT + KEY.address + 12, R2),
  st('H', FP, KEY_AT + KEY.family, 4),
]

/** The same of an IPv6 socket, which may name one of IPv4. */
const namedIp6: Line[] = [
  ...[0, 1, 2, 3].flatMap(word => [
    ldx('W', R2, CONTEXT, CTX.ip6 + 4 * word),
    ...(word < 2 ? [jmp32('JNE', R2, 0, 'pass')] : []),
    stx('W', FP, KEY_AT + KEY.address + 4 * word, R2),
  ]),
  st('H', FP, KEY_AT + KEY.family, 4),
  ldx('W', R3, FP, KEY_AT + KEY.address + 8),
  jmp32('JEQ', R3, MAPPED, 'mapped'),
  jmp32('JNE', R3, 0, 'pass'),
  jmp32('JNE', R2, ONE, 'pass'),
  st('H', FP, KEY_AT + KEY.family, 6),
  ja('loopback'),
  label('mapped'),
  andImm32(R2, 0xff),
  jmp32('JNE', R2, 127, 'pass'),
  label('loopback'),
]

/** What is bound to loopback or a device does not leave this host. */
const passIfBound = (family: Family): Line[] => [
  ldx('DW', R2, CONTEXT, CTX.sk),
  jmp('JEQ', R2, 0, 'pass'),
  ldx('W', R3, R2, SK.boundDevice),
  jmp32('JNE', R3, 0, 'pass'),
  ldx('W', R3, R2, SK.ip4),
  andImm32(R3, 0xff),
  jmp32('JEQ', R3, 127, 'pass'),
  ...(family === 4
    ? []
    : [
        // Bound to an IPv6 address: it stays with IPv6, and ::1 with this host.
        ldx('W', R3, R2, SK.ip6),
        jmp32('JNE', R3, 0, 'pass'),
        ldx('W', R3, R2, SK.ip6 + 8),
        jmp32('JEQ', R3, MAPPED, 'unbound'),
        ldx('W', R3, R2, SK.ip6 + 12),
        jmp32('JNE', R3, 0, 'pass'),
        label('unbound'),
      ]),
]

/** Leaves what stands under a key in R0, a pointer to the value. */
const lookup = (map: number, keyAt: number): Line[] => [
  ...ldMap(R1, map),
  movReg(R2, FP),
  addImm(R2, keyAt),
  call(HELPER.map_lookup_elem),
  jmp('JEQ', R0, 0, 'pass'),
]

/** A socket of IPv4 reaches no IPv6, and one of IPv6 reaches IPv4 unless it is for IPv6 alone. */
function passIfOtherFamily(family: Family, { v6only }: Knowledge): Line[] {
  const found = ldx('H', R2, FOUND, TARGET.family)
  if (family === 4) return [found, jmp32('JNE', R2, 4, 'pass')]
  if (v6only === undefined) return [found, jmp32('JEQ', R2, 4, 'pass')]
  return [
    found,
    jmp32('JNE', R2, 4, 'reached'),
    ldx('DW', R1, CONTEXT, CTX.sk),
    jmp('JEQ', R1, 0, 'pass'),
    call(HELPER.skc_to_tcp6_sock),
    jmp('JEQ', R0, 0, 'pass'),
    ldx('B', R2, R0, v6only >> 3),
    jmp32('JSET', R2, 1 << (v6only & 7), 'pass'),
    label('reached'),
  ]
}

const passIfMptcp: Line[] = [
  ldx('DW', R1, CONTEXT, CTX.sk),
  jmp('JEQ', R1, 0, 'pass'),
  call(HELPER.skc_to_mptcp_sock),
  jmp('JNE', R0, 0, 'pass'),
]

const copyAddress = (from: number, fromAt: number, to: number, toAt: number): Line[] =>
  [0, 1, 2, 3].flatMap(word => [ldx('W', R2, from, fromAt + 4 * word), stx('W', to, toAt + 4 * word, R2)])

/** From the socket's memory. */
const writePeer = (family: Family, addressAt: number, portAt: number): Line[] => [
  ...wordsOf(family).flatMap(word => [
    ldx('W', R2, MEMORY, addressAt + 4 * word),
    stx('W', CONTEXT, contextAt(family, word), R2),
  ]),
  ldx('H', R2, MEMORY, portAt),
  stx('W', CONTEXT, CTX.port, R2),
]
