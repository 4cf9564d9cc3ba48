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
 *
 * The kernel lets nobody read its own structures, as IPV6_V6ONLY takes, but programs that are compatible with the GPL. So
 * what stands in this file, conditions.ts and frame.ts may be used under any of three licences.
 * SPDX-License-Identifier: Apache-2.0 OR MIT OR GPL-2.0-only
 */

import {
  addImm,
  addReg,
  atomicAdd,
  call,
  exit,
  FP,
  ja,
  jmp,
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
  st,
  stx,
  toBe16,
} from '../bpf/instructions.ts'
import type { Family } from '../model/address/address.ts'
import {
  type Knowledge,
  named,
  passIfBound,
  passIfMptcp,
  passIfNew,
  passIfOtherFamily,
  passUnlessTcp,
} from './conditions.ts'
import { CONTEXT, CTX, FOUND, HELPER, INDEX_AT, KEY_AT, MEMORY, SK_STORAGE_GET_F_CREATE } from './frame.ts'
import { ADDRESS_BITS, ASKED, FIXED_BITS, KEY, PORT_BITS, TARGET } from './layout.ts'

/** As the kernel is told it, which knows a few phrases. */
export const LICENCE = 'Dual MIT/GPL'

/** Descriptors of the maps, see layout.ts. */
export interface Maps {
  targets: number
  counts: number
  asked: number
}

/** BPF_CGROUP_INET{4,6}_CONNECT */
export const connectProgram = (family: Family, maps: Maps, knows: Knowledge): Line[] => [
  movReg(CONTEXT, R1),
  // First what most connects have that are none of ours.
  ...passUnlessTcp,
  ...named(family),
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
  ja('pass'),

  label('elsewhere'),
  ...passIfNew(family),
  ...forget(maps.asked),
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

/** A socket that was led once may connect to the container itself now: it is not to show whom it asked for then. */
const forget = (asked: number): Line[] => [
  ...ldMap(R1, asked),
  movImm(R3, 0),
  movImm(R4, 0),
  call(HELPER.sk_storage_get),
  jmp('JEQ', R0, 0, 'pass'),
  st('H', R0, ASKED.toPort, 0),
]

/** Leaves what stands under a key in R0, a pointer to the value. */
const lookup = (map: number, keyAt: number): Line[] => [
  ...ldMap(R1, map),
  movReg(R2, FP),
  addImm(R2, keyAt),
  call(HELPER.map_lookup_elem),
  jmp('JEQ', R0, 0, 'pass'),
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
