/**
 * What is led and what is not: each part of a program goes on where a socket can be led, and else to `pass`, which leaves
 * its connect(2) as it was, or to `elsewhere` for what is not loopback at all.
 *
 * SPDX-License-Identifier: Apache-2.0 OR MIT OR GPL-2.0-only
 */

import {
  andImm32,
  call,
  FP,
  ja,
  jmp,
  jmp32,
  type Line,
  label,
  ldx,
  movReg,
  R0,
  R1,
  R2,
  R3,
  st,
  stx,
} from '../bpf/instructions.ts'
import type { Family } from '../model/address/address.ts'
import { CONTEXT, CTX, FOUND, HELPER, IPPROTO_TCP, KEY_AT, MAPPED, ONE, SK } from './frame.ts'
import { KEY, TARGET } from './layout.ts'

/** What this kernel tells about a socket, and what must do where it does not. */
export interface Knowledge {
  /** Where skc_ipv6only is in struct sock_common, in bits; absent: IPv6 sockets never go to IPv4. */
  v6only?: number
  /** There is a helper that knows MPTCP (Linux 5.19). */
  mptcp: boolean
}

/** Leaves the loopback address that was named in the key. */
const namedIp4: Line[] = [
  ldx('W', R2, CONTEXT, CTX.ip4),
  movReg(R3, R2),
  andImm32(R3, 0xff),
  jmp32('JNE', R3, 127, 'elsewhere'),
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
    ...(word < 2 ? [jmp32('JNE', R2, 0, 'elsewhere')] : []),
    stx('W', FP, KEY_AT + KEY.address + 4 * word, R2),
  ]),
  st('H', FP, KEY_AT + KEY.family, 4),
  ldx('W', R3, FP, KEY_AT + KEY.address + 8),
  jmp32('JEQ', R3, MAPPED, 'mapped'),
  jmp32('JNE', R3, 0, 'elsewhere'),
  jmp32('JNE', R2, ONE, 'elsewhere'),
  st('H', FP, KEY_AT + KEY.family, 6),
  ja('loopback'),
  label('mapped'),
  andImm32(R2, 0xff),
  jmp32('JNE', R2, 127, 'elsewhere'),
  label('loopback'),
]

/** Leaves the loopback address that was named in the key. */
export const named = (family: Family): Line[] => (family === 4 ? namedIp4 : namedIp6)

export const passUnlessTcp: Line[] = [
  ldx('W', R2, CONTEXT, CTX.protocol),
  jmp32('JNE', R2, IPPROTO_TCP, 'pass'),
]

/** What is bound to loopback or a device does not leave this host. */
export const passIfBound = (family: Family): Line[] => [
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

/**
 * A socket goes on holding whose address it had connected to, also when it is disconnected, and a new one holds none.
 * In IPv6, either the first word is set or, of a mapped address, the third. Leaves the socket in R2.
 */
export const passIfNew = (family: Family): Line[] => [
  ldx('DW', R2, CONTEXT, CTX.sk),
  jmp('JEQ', R2, 0, 'pass'),
  ...(family === 4
    ? [ldx('W', R3, R2, SK.peerIp4)]
    : [
        ldx('W', R3, R2, SK.peerIp6),
        jmp32('JNE', R3, 0, 'connected before'),
        ldx('W', R3, R2, SK.peerIp6 + 8),
      ]),
  jmp32('JEQ', R3, 0, 'pass'),
  label('connected before'),
]

/** A socket of IPv4 reaches no IPv6, and one of IPv6 reaches IPv4 unless it is for IPv6 alone. */
export function passIfOtherFamily(family: Family, { v6only }: Knowledge): Line[] {
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

/** Of MPTCP it is a subflow that connects, and another socket that is asked for the peer. */
export const passIfMptcp: Line[] = [
  ldx('DW', R1, CONTEXT, CTX.sk),
  jmp('JEQ', R1, 0, 'pass'),
  call(HELPER.skc_to_mptcp_sock),
  jmp('JNE', R0, 0, 'pass'),
]
