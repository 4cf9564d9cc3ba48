/**
 * What the programs and we both see, byte by byte.
 *
 *     targets   longest prefix   who asks for what → where it is
 *     counts    array            of each redirected range: how often
 *     asked     in the socket    what it asked for, and what it got instead
 *
 * Addresses are 16 bytes, IPv4 as ::ffff:a.b.c.d; ports and addresses in network byte order but where it is said
 * otherwise.
 */

import { bytesOf, familyOf, type Ip, ipFromBytes } from '../model/address/address.ts'

/**
 * A key of `targets`: struct bpf_lpm_trie_key, which begins with the number of bits that count.
 * The address comes last: so any of them is a prefix, and of those a range of ports a few prefixes.
 */
export const KEY = { size: 32, prefix: 0, cookie: 4, family: 12, port: 14, address: 16 } as const
/** Bits that are always compared, before those of the port: cookie and family. */
export const FIXED_BITS = 80
export const PORT_BITS = 16
export const ADDRESS_BITS = 128

/** A value of `targets`. `delta` is added to the port that was asked for, in the machine's byte order. */
export const TARGET = { size: 24, address: 0, delta: 16, family: 18, count: 20 } as const

/** A value of `asked`: what the client named, and the container's side. */
export const ASKED = { size: 40, address: 0, port: 16, toAddress: 20, toPort: 36 } as const
/** To be changed with ASKED: a successor goes on with a map of the same layout alone. */
export const ASKED_LAYOUT = 1

/** A value of `counts`. */
export const COUNT_SIZE = 8

/** 16 bytes of an address. */
export function wideBytes(ip: Ip): Uint8Array {
  if (familyOf(ip) === 6) return bytesOf(ip)
  const bytes = new Uint8Array(16)
  bytes.set([0xff, 0xff, ...bytesOf(ip)], 10)
  return bytes
}

const MAPPED_PREFIX = '00000000000000000000ffff'

/** The address of which these are the 16 bytes. */
export const narrowIp = (wide: Uint8Array): Ip =>
  ipFromBytes(Buffer.from(wide.subarray(0, 12)).toString('hex') === MAPPED_PREFIX ? wide.subarray(12) : wide)
