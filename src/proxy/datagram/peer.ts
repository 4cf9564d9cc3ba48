/** A UDP client, and the address of this host that it asked: struct sockaddr and struct cmsghdr in 32-bit words. */

import { CONTROL_WORDS, NAME_WORDS } from '../../ffi/reactor/message-layout.ts'
import { AF_INET } from '../../ffi/sockaddr.ts'
import { IPPROTO_IPV6 } from '../../ffi/socket.ts'
import type { FrozenSession } from '../frozen.ts'
import type { Datagrams } from './batch.ts'

// Where a control message's header, in6_pktinfo and in_pktinfo have their fields.
export const LEVEL = 2
export const DATA = 4
const V6_IFINDEX = DATA + 4
const V4_IFINDEX = DATA
export const V4_SOURCE = DATA + 1
const LINK_LOCAL_MASK = 0xc0ff
const LINK_LOCAL = 0x80fe

export interface Peer {
  /** struct sockaddr */
  name: Int32Array
  /** struct cmsghdr, of which this many bytes mean something. */
  control: Int32Array
  controlBytes: number
}

/** The one whose datagram is in a slot. */
export function peerOf(datagrams: Datagrams, slot: number): Peer {
  const name = datagrams.names.slice(slot * NAME_WORDS, (slot + 1) * NAME_WORDS)
  const control = datagrams.controls.slice(slot * CONTROL_WORDS, (slot + 1) * CONTROL_WORDS)
  const controlBytes = datagrams.controlLength(slot)
  if (controlBytes > 0) forgetInterface(control)
  return { name, control, controlBytes }
}

/** @throws RangeError for words that do not fit */
export function thawedPeer({ name, control }: FrozenSession): Peer {
  const peer = {
    name: new Int32Array(NAME_WORDS),
    control: new Int32Array(CONTROL_WORDS),
    controlBytes: control.length * 4,
  }
  peer.name.set(name)
  peer.control.set(control)
  return peer
}

export const isV4 = (name: Int32Array): boolean => ((name[0] ?? 0) & 0xffff) === AF_INET

/** The route decides which way a reply leaves, unless the address means nothing without its interface. */
function forgetInterface(control: Int32Array): void {
  if (control[LEVEL] !== IPPROTO_IPV6) control[V4_IFINDEX] = 0
  else if (((control[DATA] ?? 0) & LINK_LOCAL_MASK) !== LINK_LOCAL) control[V6_IFINDEX] = 0
}

/** Whose sessions count together: an IPv4 address, or the /64 in which a client chooses its IPv6 addresses freely. */
export function sourceKey(names: Int32Array, slot: number): string {
  const at = slot * NAME_WORDS
  const [first = 0, second = 0, a = 0, b = 0, c = 0, d = 0] = names.subarray(at, at + 6)
  if ((first & 0xffff) === AF_INET) return String(second)
  return a === 0 && b === 0 ? `${c} ${d}` : `${a} ${b}`
}
