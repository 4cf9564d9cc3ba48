/**
 * Sockets opened in the namespace of the thread, to be handed to Node by descriptor.
 *
 * Node itself opens a socket some turns of the event loop after it was asked to, when the thread has left
 * the namespace again; so the socket is made here, at once, and Node only drives it.
 */

import { errno, errnoName, libc, must, SystemError } from '../ffi/ffi.ts'
import { bytesOf, type Family, familyOf, type Ip } from '../model/address.ts'

const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM = 1
const SOCK_DGRAM = 2
const SOCK_NONBLOCK = 0x800
const SOCK_CLOEXEC = 0x80000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26

export type Transport = 'tcp' | 'udp'

/** A `struct sockaddr_in` or `sockaddr_in6`. Source: linux/in.h, linux/in6.h */
export function socketAddress(ip: Ip, port: number): Uint8Array {
  const v6 = familyOf(ip) === 6
  const bytes = new Uint8Array(v6 ? 28 : 16)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, v6 ? AF_INET6 : AF_INET, true)
  view.setUint16(2, port)
  bytes.set(bytesOf(ip), v6 ? 8 : 4)
  return bytes
}

function openSocket(transport: Transport, family: Family): number {
  const type = (transport === 'tcp' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC
  const fd = must('socket', libc.socket(family === 6 ? AF_INET6 : AF_INET, type, 0))
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
  const address = socketAddress(ip, port)
  must('bind', libc.bind(fd, address, address.length))
}

/** A socket that is bound; `::` takes both families. The caller owns the descriptor. @throws SystemError */
export function openBound(transport: Transport, ip: Ip, port: number): number {
  const fd = openSocket(transport, familyOf(ip))
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
  const family = familyOf(ip)
  const fd = openSocket(transport, family)
  return orClose(fd, () => {
    if (from !== 0) bind(fd, (family === 6 ? '::' : '0.0.0.0') as Ip, from)
    const address = socketAddress(ip, port)
    if (libc.connect(fd, address, address.length) < 0 && errnoName(errno()) !== 'EINPROGRESS') {
      throw new SystemError('connect', errno())
    }
  })
}
