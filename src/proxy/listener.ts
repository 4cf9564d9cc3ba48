/**
 * The sockets of a publication: bound and listening before anybody is told, they are its reservation.
 *
 *     no address given    one socket a port on [::] that takes IPv4 too; 0.0.0.0 where there is no IPv6
 *     addresses given     one socket for each address and port; `::` is IPv6 only
 *
 * With several workers each has a socket of its own a port (SO_REUSEPORT), and the kernel spreads clients
 * over them. Such sockets do not exclude others of the same user, so a plain one is tried first.
 *
 * What accepted sockets inherit is set here once: no delay, keepalive.
 */

import { libc, must } from '../ffi/ffi.ts'
import { AF_INET6, domainOf, readSockaddr, sockaddr } from '../ffi/sockaddr.ts'
import {
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  setOption,
  setReceiveBuffer,
  socketKinds,
} from '../ffi/socket.ts'
import type { Ip } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import { bindError } from './bind-error.ts'
import { setStreamOptions } from './dial.ts'
import { defaultOptions, type Publication } from './publication.ts'

const BACKLOG = 4096
const UDP_BUFFER_BYTES = 4 << 20
const ANY_V4 = '0.0.0.0' as Ip
const ANY_V6 = '::' as Ip
/** How often another port is tried where the kernel's choice is taken on another address. */
const EPHEMERAL_TRIES = 16

/** Open sockets of a publication. */
export interface Listeners {
  /** First host port. */
  hostPort: number
  /** For each worker, address by address and port by port. */
  sockets: number[][]
}

/**
 * Opens all sockets of a publication, or none.
 * @throws TsnetError `conflict` for a port in use, `invalid-config` for an address that is not this host's,
 *   `missing` for a protocol that the kernel lacks, `exhausted` without descriptors, `kernel`
 */
export function openListeners(publication: Publication, workers: number): Listeners {
  for (let left = EPHEMERAL_TRIES; ; left--) {
    const listeners: Listeners = { hostPort: publication.hostPort, sockets: [] }
    try {
      for (let worker = 0; worker < workers; worker++) {
        listeners.sockets.push([])
        openForWorker(publication, listeners, workers > 1)
      }
      return listeners
    } catch (thrown) {
      closeListeners(listeners)
      const taken = thrown instanceof TsnetError && thrown.code === 'conflict'
      if (publication.hostPort !== 0 || !taken || left === 0) throw thrown
    }
  }
}

export function closeListeners({ sockets }: Listeners): void {
  for (const fd of sockets.flat()) libc.close(fd)
}

function openForWorker(publication: Publication, listeners: Listeners, shared: boolean): void {
  const first = listeners.sockets.length === 1
  const sockets = listeners.sockets.at(-1) ?? []
  for (const ip of publication.hostIps ?? [undefined]) {
    const open = opener(publication, ip)
    for (let offset = 0; offset < publication.count; offset++) {
      const port = listeners.hostPort === 0 ? 0 : listeners.hostPort + offset
      // Of sockets that share a port each is let in beside a stranger's that shares it too.
      if (shared && first && port !== 0) libc.close(open(port, false))
      const fd = open(port, shared)
      sockets.push(fd)
      if (port === 0) listeners.hostPort = portOf(fd)
    }
  }
}

/** Opens a publication's sockets on one address, or on all. */
function opener(publication: Publication, ip: Ip | undefined): (port: number, shared: boolean) => number {
  const { protocol } = publication
  const [type, number] = socketKinds[protocol]
  const address = ip ?? (hasIpv6() ? ANY_V6 : ANY_V4)
  const domain = domainOf(address)
  const bytes = sockaddr(address, 0)
  const view = new DataView(bytes.buffer)
  return (port, shared) => {
    const fd = libc.socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, number)
    if (fd < 0) throw bindError(publication, ip, port)
    if (domain === AF_INET6) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, ip === undefined ? 0 : 1)
    if (shared) setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)
    // Lets a port in TIME_WAIT pass, never one that is listened on. Two UDP sockets could share one.
    if (protocol !== 'udp') setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1)
    prepareSocket(fd, publication, address)
    view.setUint16(2, port)
    if (libc.bind(fd, bytes, bytes.length) === 0 && (protocol === 'udp' || libc.listen(fd, BACKLOG) === 0)) {
      return fd
    }
    const thrown = bindError(publication, ip, port)
    libc.close(fd)
    throw thrown
  }
}

function hasIpv6(): boolean {
  const fd = libc.socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)
  if (fd >= 0) libc.close(fd)
  return fd >= 0
}

/**
 * What a socket at an address needs beside being bound: accepted sockets inherit their options, and
 * datagrams to a wildcard address say to which of this host's addresses they came.
 */
export function prepareSocket(fd: number, { protocol, options }: Publication, address: Ip): void {
  if (protocol !== 'udp') {
    setStreamOptions(fd, protocol, options?.keepaliveMs ?? defaultOptions.keepaliveMs)
    return
  }
  setReceiveBuffer(fd, UDP_BUFFER_BYTES)
  if (address === ANY_V4) setOption(fd, IPPROTO_IP, IP_PKTINFO, 1)
  if (address === ANY_V6) setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
}

function portOf(fd: number): number {
  const address = new Uint8Array(28)
  must('getsockname', libc.getsockname(fd, address, new Uint8Array(new Int32Array([28]).buffer)))
  return readSockaddr(address).port
}
