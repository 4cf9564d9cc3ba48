/**
 * The sockets of a publication: bound and listening before anybody is told, they are its reservation.
 *
 *     no address given    one socket a port on [::] that takes IPv4 too; 0.0.0.0 where there is no IPv6
 *     addresses given     one socket for each address and port; `::` is IPv6 only
 *
 * With several workers each has a socket of its own a port (SO_REUSEPORT), and the kernel spreads clients
 * over them. Such sockets let in every other of the same user, who for root may be anybody. So they belong to
 * a user that there is not, drawn anew for each publication: fchown(2) on a socket is what the kernel goes by
 * when it compares users (sk_uid), in a socket that is bound as in one that would join it. Where that is not
 * allowed (a user namespace), all workers accept from one socket, and of UDP one worker has it.
 *
 * What accepted sockets inherit, no delay and keepalive, is set by who accepts the first of them (stream/stream.ts): most
 * sockets of a long range never see a client.
 */

import { fchownSync } from 'node:fs'
import { duplicate } from '../ffi/fd.ts'
import { libc, must } from '../ffi/ffi.ts'
import { AF_INET, AF_INET6, domainOf, hostSockaddr, readSockaddr } from '../ffi/sockaddr.ts'
import {
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  optionOf,
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
import type { HostIp } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import { shownPath } from '../model/json/shown.ts'
import { openRecorded } from '../netns/container.ts'
import { inside, type Sync } from '../netns/netns.ts'
import { bindError } from './bind-error.ts'
import type { Publication } from './publication.ts'

const BACKLOG = 4096
const UDP_BUFFER_BYTES = 4 << 20
const ANY_V4 = '0.0.0.0' as HostIp
const ANY_V6 = '::' as HostIp
/** Users from here on are nobody's: login programs and user namespaces stay below. */
const FIRST_UNUSED_UID = 2 ** 31
const UNUSED_UIDS = 2 ** 30
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
 * @throws TsnetError `conflict` for a port in use, `invalid-config` for an address or interface that is not this host's,
 *   `missing` for a protocol that the kernel lacks, `exhausted` without descriptors, `kernel`
 */
export function openListeners(publication: Publication, workers: number): Listeners {
  for (let left = EPHEMERAL_TRIES; ; left--) {
    const listeners: Listeners = { hostPort: publication.hostPort, sockets: [] }
    const owner = workers > 1 ? nobody() : undefined
    try {
      openForWorker(publication, listeners, owner)
      while (listeners.sockets.length < workers) {
        if (owner === undefined) shareFirst(publication, listeners)
        else openForWorker(publication, listeners, owner)
      }
      return listeners
    } catch (thrown) {
      closeListeners(listeners)
      const taken = thrown instanceof TsnetError && thrown.code === 'conflict'
      if (publication.hostPort !== 0 || !taken || left === 0) throw thrown
    }
  }
}

/**
 * Opens sockets in another network namespace, if it is still there.
 * @throws TsnetError `not-running`; and what `open` throws
 */
export function openWithin<T>(place: NonNullable<Publication['within']>, open: () => Sync<T>): Sync<T> {
  using netns = openRecorded(place)
  if (netns !== undefined) return inside(netns, open)
  throw new TsnetError('not-running', `network namespace ${shownPath(place.path)} has just ended`)
}

/** Another worker has the sockets of the first; none for UDP, whose replies go by who saw the client. */
function shareFirst({ protocol }: Publication, { sockets }: Listeners): void {
  const copies: number[] = []
  const [first = []] = sockets
  sockets.push(copies)
  if (protocol === 'udp') return
  for (const fd of first) copies.push(duplicate(fd))
}

/** A user that nobody is, to whom sockets can be given; undefined where we may not. */
function nobody(): number | undefined {
  const uid = FIRST_UNUSED_UID + Math.floor(Math.random() * UNUSED_UIDS)
  const fd = must('socket', libc.socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
  try {
    fchownSync(fd, uid, -1)
    return uid
  } catch {
    return undefined
  } finally {
    libc.close(fd)
  }
}

export function closeListeners({ sockets }: Listeners): void {
  for (const fd of sockets.flat()) libc.close(fd)
}

function openForWorker(publication: Publication, listeners: Listeners, owner: number | undefined): void {
  const sockets: number[] = []
  listeners.sockets.push(sockets)
  for (const ip of publication.hostIps ?? [undefined]) {
    const open = opener(publication, ip, owner)
    for (let offset = 0; offset < publication.count; offset++) {
      const port = listeners.hostPort === 0 ? 0 : listeners.hostPort + offset
      const fd = open(port)
      sockets.push(fd)
      if (port === 0) listeners.hostPort = portOf(fd)
    }
  }
}

/**
 * Opens a publication's sockets on one address, or on all.
 * @param owner the user whose sockets may share a port; absent: none may
 */
function opener(
  publication: Publication,
  ip: HostIp | undefined,
  owner: number | undefined,
): (port: number) => number {
  const { protocol } = publication
  const [type, number] = socketKinds[protocol]
  const address = ip ?? (hasIpv6() ? ANY_V6 : ANY_V4)
  const domain = domainOf(address)
  const bytes = hostSockaddr(address, 0)
  const view = new DataView(bytes.buffer)
  const v6Only = ip === undefined ? 0 : 1
  let isV6Set: boolean | undefined
  return port => {
    const fd = libc.socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, number)
    if (fd < 0) throw bindError(publication, ip, port)
    if (domain === AF_INET6) {
      // By net.ipv6.bindv6only, which does not change between two ports.
      isV6Set ??= optionOf(fd, IPPROTO_IPV6, IPV6_V6ONLY) === v6Only
      if (!isV6Set) setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, v6Only)
    }
    if (owner !== undefined) {
      fchownSync(fd, owner, -1)
      setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1)
    }
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
 * What a socket at an address needs beside being bound: datagrams to a wildcard address say to which of this host's
 * addresses they came.
 */
export function prepareSocket(fd: number, { protocol }: Publication, address: HostIp): void {
  if (protocol !== 'udp') return
  setReceiveBuffer(fd, UDP_BUFFER_BYTES)
  if (address === ANY_V4) setOption(fd, IPPROTO_IP, IP_PKTINFO, 1)
  if (address === ANY_V6) setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
}

function portOf(fd: number): number {
  const address = new Uint8Array(28)
  must('getsockname', libc.getsockname(fd, address, new Uint8Array(new Int32Array([28]).buffer)))
  return readSockaddr(address).port
}
