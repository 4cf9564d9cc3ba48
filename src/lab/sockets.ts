/**
 * Sockets opened in the namespace of the thread, to be handed to Node by descriptor.
 *
 * Node itself opens a socket some turns of the event loop after it was asked to, when the thread has left
 * the namespace again; so the socket is made here, at once, and Node only drives it.
 */

import { errno, errnoName, libc, must, SystemError } from '../ffi/ffi.ts'
import { domainOf, sockaddr } from '../ffi/sockaddr.ts'
import {
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../ffi/socket.ts'
import { familyOf, type Ip } from '../model/address/address.ts'

export type Transport = 'tcp' | 'udp'

function openSocket(transport: Transport, ip: Ip): number {
  const type = (transport === 'tcp' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC
  const fd = must('socket', libc.socket(domainOf(ip), type, 0))
  setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
  return fd
}

function setOption(fd: number, level: number, name: number, value: number): void {
  const bytes = new Uint8Array(new Int32Array([value]).buffer)
  must('setsockopt', libc.setsockopt(fd, level, name, bytes, bytes.length))
}

/** Closes the descriptor again when the rest of its making fails. */
function orClose(fd: number, rest: () => void): number {
  try {
    rest()
    return fd
  } catch (thrown) {
    libc.close(fd)
    throw thrown
  }
}

function bind(fd: number, ip: Ip, port: number): void {
  const address = sockaddr(ip, port)
  must('bind', libc.bind(fd, address, address.length))
}

/** A socket that is bound; `::` takes both families. The caller owns the descriptor. @throws SystemError */
export function openBound(transport: Transport, ip: Ip, port: number): number {
  const fd = openSocket(transport, ip)
  return orClose(fd, () => {
    if (ip === '::') setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0)
    bind(fd, ip, port)
  })
}

/**
 * A socket on its way to a peer: a TCP handshake goes on while the descriptor is returned.
 * @param from source port, 0 for any
 */
export function openConnected(transport: Transport, ip: Ip, port: number, from: number): number {
  const fd = openSocket(transport, ip)
  return orClose(fd, () => {
    if (from !== 0) bind(fd, (familyOf(ip) === 6 ? '::' : '0.0.0.0') as Ip, from)
    const address = sockaddr(ip, port)
    if (libc.connect(fd, address, address.length) < 0 && errnoName(errno()) !== 'EINPROGRESS') {
      throw new SystemError('connect', errno())
    }
  })
}
