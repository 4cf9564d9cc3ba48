/** Numbers of the socket interface (linux/socket.h, in.h, tcp.h, udp.h, sctp.h) and options that are one int. */

import { constants } from 'node:os'
import type { Protocol } from '../model/port-mapping.ts'
import { errno, libc } from './ffi.ts'

export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_NONBLOCK = 0x800
export const SOCK_CLOEXEC = 0x80000

export const SHUT_WR = 1
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_NOSIGNAL = 0x4000

export const SOL_SOCKET = 1
export const SO_REUSEADDR = 2
export const SO_TYPE = 3
export const SO_ERROR = 4
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_KEEPALIVE = 9
export const SO_LINGER = 13
export const SO_REUSEPORT = 15
export const SO_RCVTIMEO = 20
export const SO_ATTACH_FILTER = 26
export const SO_ACCEPTCONN = 30
export const SO_SNDBUFFORCE = 32
export const SO_RCVBUFFORCE = 33
export const SO_DOMAIN = 39
export const SO_NETNS_COOKIE = 71

export const IPPROTO_IP = 0
export const IP_PKTINFO = 8
export const IP_BIND_ADDRESS_NO_PORT = 24

export const IPPROTO_TCP = 6
export const TCP_NODELAY = 1
export const TCP_KEEPIDLE = 4
export const TCP_KEEPINTVL = 5
export const TCP_CONGESTION = 13

export const IPPROTO_UDP = 17
export const UDP_SEGMENT = 103

export const IPPROTO_SCTP = 132
export const SCTP_NODELAY = 3
const SCTP_STATUS = 14

export const IPPROTO_IPV6 = 41
export const IPV6_V6ONLY = 26
export const IPV6_RECVPKTINFO = 49
export const IPV6_PKTINFO = 50

/** What a protocol's socket is made of, for socket(2); SCTP one to one. */
export const socketKinds: Record<Protocol, readonly [type: number, protocol: number]> = {
  tcp: [SOCK_STREAM, IPPROTO_TCP],
  udp: [SOCK_DGRAM, IPPROTO_UDP],
  sctp: [SOCK_STREAM, IPPROTO_SCTP],
}

const value = new Int32Array(1)
const valueBytes = new Uint8Array(value.buffer)
const length = new Uint8Array(4)

/** Sets an option that is an int. @returns false where the kernel refuses, see errno */
export function setOption(fd: number, level: number, name: number, to: number): boolean {
  value[0] = to
  return libc.setsockopt(fd, level, name, valueBytes, 4) === 0
}

/** Reads an option that is an int; -1 where the kernel refuses, see errno. */
export function optionOf(fd: number, level: number, name: number): number {
  length[0] = 4
  return libc.getsockopt(fd, level, name, valueBytes, length) === 0 ? (value[0] ?? -1) : -1
}

const linger = new Uint8Array(new Int32Array([1, 0]).buffer) // struct linger: on, for 0 s

/** Makes close(2) send a reset, whatever is still to be sent. */
export function resetOnClose(fd: number): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, linger.length)
}

/** Room for what has arrived and was not read yet, in bytes; without privileges only up to a sysctl. */
export function setReceiveBuffer(fd: number, bytes: number): void {
  if (!setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes)) setOption(fd, SOL_SOCKET, SO_RCVBUF, bytes)
}

/** Room for what is sent at once, in bytes; without privileges only up to a sysctl. */
export function setSendBuffer(fd: number, bytes: number): void {
  if (!setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes)) setOption(fd, SOL_SOCKET, SO_SNDBUF, bytes)
}

const { EINVAL } = constants.errno
const peer = new Uint8Array(128) // struct sockaddr_storage
const peerLength = new Int32Array(1)
const peerLengthBytes = new Uint8Array(peerLength.buffer)

/** False for a stream socket that is still connecting, or could not. */
export function isConnected(fd: number): boolean {
  peerLength[0] = peer.length
  return libc.getpeername(fd, peer, peerLengthBytes) === 0
}

/** struct sctp_status, with room to spare. */
const status = new Uint8Array(256)
const statusLength = new Int32Array(1)
const statusLengthBytes = new Uint8Array(statusLength.buffer)

/** False for an SCTP socket, one to one, whose association is over or never was (RFC 6458, 8.2.1). */
export function hasAssociation(fd: number): boolean {
  statusLength[0] = status.length
  return libc.getsockopt(fd, IPPROTO_SCTP, SCTP_STATUS, status, statusLengthBytes) === 0 || errno() !== EINVAL
}
