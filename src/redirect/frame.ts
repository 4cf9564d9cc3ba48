/**
 * What the programs' parts have in common: the context, the helpers, and what they keep where.
 *
 * SPDX-License-Identifier: Apache-2.0 OR MIT OR GPL-2.0-only
 */

import { R6, R7, R8 } from '../bpf/instructions.ts'

/** struct bpf_sock_addr */
export const CTX = { ip4: 4, ip6: 8, port: 24, protocol: 36, sk: 64 } as const
/** struct bpf_sock */
export const SK = { boundDevice: 0, ip4: 24, ip6: 28, peerIp4: 52, peerIp6: 56 } as const

/** BPF_FUNC_* */
export const HELPER = {
  map_lookup_elem: 1,
  sk_storage_get: 107,
  get_netns_cookie: 122,
  skc_to_tcp6_sock: 136,
  skc_to_mptcp_sock: 196,
} as const
export const SK_STORAGE_GET_F_CREATE = 1

// Four bytes in network byte order, as a little-endian machine loads them.
export const MAPPED = 0xffff0000 | 0 // 0000ffff, before an IPv4 address
export const ONE = 0x01000000 // 00000001, the end of ::1
export const IPPROTO_TCP = 6

/** The context, what stands under the key, the socket's memory: kept over calls. */
export const [CONTEXT, FOUND, MEMORY] = [R6, R7, R8]
// The stack: the key, so that its cookie is aligned to eight, and the index of a count.
export const KEY_AT = -36
export const INDEX_AT = -40
