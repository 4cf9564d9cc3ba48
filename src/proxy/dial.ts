/**
 * A socket on its way to a target.
 *
 * Where the target can be reached only from inside a network namespace, the thread enters it, looks where the
 * service listens (inside.ts), makes the socket and comes back: a socket stays where it was made, whoever uses it.
 * Connecting never blocks.
 *
 * The path of a unix socket is the container's to choose. It is resolved with openat2(2) as if the
 * container's root were ours, so that no link in it leads to a socket of the host, and what was found is
 * connected to by its descriptor.
 */

import { constants } from 'node:os'
import { errno, libc } from '../ffi/ffi.ts'
import type { Descriptors } from '../ffi/reactor/descriptors.ts'
import { domainOf, sockaddr } from '../ffi/sockaddr.ts'
import {
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IP,
  IPPROTO_SCTP,
  IPPROTO_TCP,
  SCTP_NODELAY,
  SO_KEEPALIVE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  setOption,
  socketKinds,
  TCP_CONGESTION,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from '../ffi/socket.ts'
import type { Protocol } from '../model/port-mapping.ts'
import { currentNetns, type Netns } from '../netns/netns.ts'
import type { Destination, InsideDestination, IpDestination, UnixDestination } from './destination.ts'
import { InsidePlaces } from './inside.ts'

const AF_UNIX = 1
const CLONE_NEWNET = 0x40000000
const SYS_OPENAT2 = 437 // the same on all architectures
const O_PATH_CLOEXEC = 0x280000
const RESOLVE_NO_MAGICLINKS = 0x02 // linux/openat2.h
const RESOLVE_IN_ROOT = 0x10

const { EINPROGRESS } = constants.errno

/**
 * How a target is sent to. The path is a cable within this machine, where BBR's pacing and cubic's clocks
 * only cost time (a fifth of all that a bulk transfer takes); reno is in every kernel and free to all.
 */
const reno = new TextEncoder().encode('reno')

/** The thread could not come back from a namespace: nothing that it does from now on can be trusted. */
export class LostThread extends Error {
  override readonly name = 'LostThread'
}

export class Dialer {
  readonly #home: Netns = currentNetns()
  readonly #places = new WeakMap<InsideDestination, InsidePlaces>()

  constructor(descriptors: Descriptors) {
    descriptors.own(this.#home.fd)
  }

  /**
   * Starts connecting to the port at `offset` of a destination.
   * @param keepaliveMs of a stream, see PublicationOptions
   * @returns the socket, which becomes writable when the connection stands or has failed (SO_ERROR); or
   *   −errno
   */
  dial(destination: Destination, protocol: Protocol, offset: number, keepaliveMs: number): number {
    if (destination.kind === 'unix') return dialUnix(destination)
    const way = this.#way(destination, protocol, offset)
    const { fd, address, source } = way
    if (fd < 0) return fd
    if (source !== undefined) {
      setOption(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
      if (libc.bind(fd, source, source.length) < 0) return closed(fd)
    }
    if (protocol !== 'udp') setStreamOptions(fd, protocol, keepaliveMs)
    if (protocol === 'tcp') libc.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, reno, reno.length)
    return connecting(fd, address)
  }

  #way(destination: IpDestination | InsideDestination, protocol: Protocol, offset: number): Way {
    if (destination.kind === 'inside') {
      return this.#inside(destination.netns, () => this.#wayInside(destination, protocol, offset))
    }
    const { domain, netns } = destination
    const address = offset === 0 ? destination.address : atOffset(destination.address, offset)
    const open = () => ({ fd: openSocket(domain, protocol), address })
    return netns === undefined ? open() : this.#inside(netns, open)
  }

  /** For a thread that is in the namespace. */
  #wayInside(destination: InsideDestination, protocol: Protocol, offset: number): Way {
    let places = this.#places.get(destination)
    if (places === undefined) {
      places = new InsidePlaces(destination.own, protocol)
      this.#places.set(destination, places)
    }
    const port = destination.port + offset
    const ip = places.find(port, performance.now())
    const source = places.sourceFor(ip)
    const way = { fd: openSocket(domainOf(ip), protocol), address: sockaddr(ip, port) }
    return source === undefined ? way : { ...way, source: sockaddr(source, 0) }
  }

  #inside(netns: number, work: () => Way): Way {
    if (libc.setns(netns, CLONE_NEWNET) < 0) return { fd: -errno(), address: NOWHERE }
    try {
      return work()
    } finally {
      this.#comeHome()
    }
  }

  #comeHome(): void {
    if (libc.setns(this.#home.fd, CLONE_NEWNET) < 0) throw new LostThread('cannot leave a namespace')
  }
}

/** A socket that is about to be connected, or −errno. */
interface Way {
  fd: number
  /** struct sockaddr */
  address: Uint8Array
  /** The same, to bind to before. */
  source?: Uint8Array
}

const NOWHERE = new Uint8Array()

/** Small messages are not held back; a silent peer is asked whether it is alive, which SCTP does by itself. */
export function setStreamOptions(fd: number, protocol: Protocol, keepaliveMs: number): void {
  if (protocol === 'sctp') setOption(fd, IPPROTO_SCTP, SCTP_NODELAY, 1)
  if (protocol !== 'tcp') return
  setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1)
  if (keepaliveMs === 0) return
  const seconds = Math.max(1, Math.round(keepaliveMs / 1000))
  setOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
  setOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds)
  setOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds)
}

/** @returns the socket or −errno */
function openSocket(domain: number, protocol: Protocol): number {
  const [type, number] = socketKinds[protocol]
  const fd = libc.socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, number)
  return fd < 0 ? -errno() : fd
}

function dialUnix({ root, path }: UnixDestination): number {
  const how = new BigUint64Array([
    BigInt(O_PATH_CLOEXEC),
    0n,
    BigInt(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS),
  ])
  const file = libc.syscall(SYS_OPENAT2, root, Buffer.from(`${path}\0`), new Uint8Array(how.buffer), 24)
  if (file < 0) return -errno()
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
  const result = fd < 0 ? -errno() : connecting(fd, unixAddress(`/proc/self/fd/${file}`))
  libc.close(file)
  return result
}

function connecting(fd: number, address: Uint8Array): number {
  if (libc.connect(fd, address, address.length) === 0 || errno() === EINPROGRESS) return fd
  return closed(fd)
}

/** Closes a socket that could not be used. @returns −errno of what went wrong */
function closed(fd: number): number {
  const failure = errno()
  libc.close(fd)
  return -failure
}

/** struct sockaddr_un */
function unixAddress(path: string): Uint8Array {
  const bytes = new Uint8Array(2 + path.length + 1)
  bytes[0] = AF_UNIX
  bytes.set(Buffer.from(path), 2)
  return bytes
}

/** The sockaddr with another port. */
function atOffset(address: Uint8Array, offset: number): Uint8Array {
  const bytes = address.slice()
  const view = new DataView(bytes.buffer)
  view.setUint16(2, view.getUint16(2) + offset)
  return bytes
}
