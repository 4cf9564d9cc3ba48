/** Is an address, to the routes of this host, one of all hosts of a subnet. */

import type { HostIp } from '../model/address/address.ts'
import { errno, errnoName, libc, must } from './ffi.ts'
import { AF_INET, hostSockaddr } from './sockaddr.ts'
import { SOCK_CLOEXEC, SOCK_DGRAM } from './socket.ts'

/** A port like any other: nothing is sent. */
const DISCARD = 9

/**
 * Asked by connecting a datagram socket, which without SO_BROADCAST the kernel refuses for such an address (EACCES,
 * ip(7)). bind(2) and listen(2) take it.
 */
export function isBroadcast(ip: HostIp): boolean {
  if (ip.includes(':')) return false
  const fd = must('socket', libc.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0))
  try {
    const address = hostSockaddr(ip, DISCARD)
    return libc.connect(fd, address, address.length) < 0 && errnoName(errno()) === 'EACCES'
  } finally {
    libc.close(fd)
  }
}
