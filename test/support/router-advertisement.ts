/**
 * A rogue router: it says that it is the way to everywhere and that a prefix is on this link.
 *
 * Source: RFC 4861 section 4.2 and 4.6.2.
 */

import type { Place } from 'tsnet/lab'
import { libc, must } from '../../src/ffi/ffi.ts'
import { AF_INET6 } from '../../src/ffi/sockaddr.ts'
import { IPPROTO_IPV6, SOCK_CLOEXEC, SOCK_RAW } from '../../src/ffi/socket.ts'
import { bytesOf, type Ip } from '../../src/model/address/address.ts'
import { getLink } from '../../src/netlink/link/link.ts'
import { openNetlink } from '../../src/netlink/netlink.ts'

const IPPROTO_ICMPV6 = 58
const IPV6_MULTICAST_HOPS = 18

/** Sends a router advertisement for this /64 to all nodes on the interface's link. */
export function advertiseRouter(place: Place, ifname: string, prefix: string): void {
  place.inside(() => {
    using nl = openNetlink()
    const { index } = getLink(nl, { name: ifname })
    const fd = must('socket', libc.socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6))
    try {
      const hops = Uint8Array.of(255, 0, 0, 0)
      must('setsockopt', libc.setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops, hops.length))
      must('connect', libc.connect(fd, allNodes(index), 28))
      const message = advertisement(prefix)
      must('send', libc.send(fd, message, message.length, 0))
    } finally {
      libc.close(fd)
    }
  })
}

/** struct sockaddr_in6 of ff02::1 on one link. */
function allNodes(index: number): Uint8Array {
  const bytes = new Uint8Array(28)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, AF_INET6, true)
  bytes.set(bytesOf('ff02::1' as Ip), 8)
  view.setUint32(24, index, true)
  return bytes
}

function advertisement(prefix: string): Uint8Array {
  const bytes = new Uint8Array(16 + 32)
  const view = new DataView(bytes.buffer)
  view.setUint8(0, 134) // router advertisement; the kernel fills in the checksum
  view.setUint8(4, 64) // hop limit
  view.setUint16(6, 1800) // router lifetime in seconds
  view.setUint8(16, 3) // prefix information
  view.setUint8(17, 4) // in units of 8 bytes
  view.setUint8(18, 64) // prefix length
  view.setUint8(19, 0xc0) // on link, for addresses
  view.setUint32(20, 3600) // valid, seconds
  view.setUint32(24, 3600) // preferred, seconds
  bytes.set(bytesOf(prefix as Ip), 32)
  return bytes
}
