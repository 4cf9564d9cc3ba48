/**
 * A published range of TCP or SCTP ports: accepts clients and starts to dial for each. Clients stay with a target that is led
 * to no more, as long as it is there (farewell.ts).
 *
 * Accepted sockets have their options from the one that listened: at its first client it gets them. Who was connected
 * before that has none yet, so until nobody waits any more each client gets its own.
 *
 * Out of descriptors, a listener would be reported as ready over and over. The reserve descriptor is given
 * up to accept and reset those who wait; out of anything else, the listener is left alone for a moment.
 */

import { constants } from 'node:os'
import { errno, libc } from '../../ffi/ffi.ts'
import { type Endpoint, readSockaddr } from '../../ffi/sockaddr.ts'
import { resetOnClose, SOCK_CLOEXEC, SOCK_NONBLOCK } from '../../ffi/socket.ts'
import { ACCEPTED, ACTIVE, DENIED } from '../counters.ts'
import type { Destination } from '../destination.ts'
import { setStreamOptions } from '../dial.ts'
import type { FrozenClient, FrozenHere } from '../frozen.ts'
import { Service } from '../worker/service.ts'
import { StreamClient, type StreamHost } from './client.ts'
import { Connection } from './connection.ts'
import { Dialling } from './dialling.ts'
import { Farewell } from './farewell.ts'
import { proxyHeader } from './proxy-header.ts'

/** Accepted in one turn before others get theirs. */
const TURN_ACCEPTS = 64
const SOCKADDR_BYTES = 28
/** More clients than this do not wait on one socket. */
const BACKLOG = 4096

const { EAGAIN, EMFILE, ...numbers } = constants.errno
/** Errors of the connection that was to be accepted, see accept(2). */
const OF_ONE_CLIENT = new Set([
  numbers.ECONNABORTED,
  numbers.EINTR,
  numbers.EPROTO,
  numbers.ENOPROTOOPT,
  numbers.ENETDOWN,
  numbers.ENETUNREACH,
  numbers.EHOSTUNREACH,
  numbers.EOPNOTSUPP,
  numbers.EPERM, // a firewall's
])

export class StreamService extends Service implements StreamHost {
  readonly #address = new Uint8Array(SOCKADDR_BYTES)
  readonly #length = new Int32Array(1)
  readonly #lengthBytes = new Uint8Array(this.#length.buffer)
  /** Listeners that have options, by their tags; true once all whom they accept have them too. */
  readonly #inherited = new Map<number, boolean>()

  ready(listener: number, _events: number, tag: number): void {
    if (!this.#inherited.has(tag)) {
      setStreamOptions(listener, this.protocol, this.options.keepaliveMs)
      this.#inherited.set(tag, false)
    }
    for (let turn = 0; turn < TURN_ACCEPTS; turn++) if (!this.#accept(listener, tag)) return
  }

  protected takeLast(): void {
    for (const [tag, listener] of this.sockets.entries()) {
      for (let left = BACKLOG; left > 0 && this.#accept(listener, tag); left--);
    }
  }

  override retarget(destinations: Destination[]): void {
    super.retarget(destinations)
    const left = new Map<Destination, StreamClient[]>()
    for (const client of this.#clients()) {
      const target = client.retargeted()
      if (target === undefined) continue
      const clients = left.get(target) ?? []
      left.set(target, clients)
      clients.push(client)
    }
    for (const [target, clients] of left) {
      const farewell = new Farewell(this, () => {
        for (const client of clients) client.reset()
      })
      farewell.ask(target, clients[0]?.port ?? 0)
    }
  }

  override reset(): void {
    for (const client of this.#clients()) client.reset()
  }

  protected override freezeClients(): FrozenHere[] {
    return this.#clients().map(client => client.freeze())
  }

  override adopt(frozen: FrozenClient): boolean {
    if (frozen.kind !== 'connection') return false
    const { port, client, target, choice } = frozen
    if (target === undefined) new Dialling(this, port, client).begin()
    else new Connection(this, port, client, target, this.balance, choice).thaw(frozen)
    return true
  }

  enter(port: number): void {
    this.active++
    this.count(port, ACTIVE, 1)
  }

  /** Counted first, since who sees its socket close may look at the counters. */
  leave(port: number, client: number): void {
    this.count(port, ACTIVE, -1)
    this.reactor.close(client)
    this.left()
  }

  letGo(port: number, client: number): void {
    this.count(port, ACTIVE, -1)
    this.reactor.remove(client)
    this.left()
  }

  header(client: number): Uint8Array | undefined {
    const { proxyProtocol } = this.options
    if (proxyProtocol === 0) return undefined
    return proxyHeader(
      proxyProtocol,
      this.#endpoint(client, 'getpeername'),
      this.#endpoint(client, 'getsockname'),
    )
  }

  /** All that there are: each is watched by one or two sockets. */
  #clients(): StreamClient[] {
    const clients = new Set<StreamClient>()
    for (const source of this.reactor.sources()) {
      if (source instanceof StreamClient && source.service === this) clients.add(source)
    }
    return [...clients]
  }

  /** @returns false when no more can be accepted for now */
  #accept(listener: number, tag: number): boolean {
    const looksAtPeer = this.access.restricts
    this.#length[0] = SOCKADDR_BYTES
    const client = libc.accept4(
      listener,
      looksAtPeer ? this.#address : null,
      looksAtPeer ? this.#lengthBytes : null,
      SOCK_NONBLOCK | SOCK_CLOEXEC,
    )
    if (client < 0) return this.#notAccepted(listener, tag, errno())
    const port = tag % this.ports
    this.count(port, ACCEPTED, 1)
    this.reactor.descriptors.refill()
    const isDenied = looksAtPeer && !this.access.admits(readSockaddr(this.#address).ip)
    if (isDenied) this.count(port, DENIED, 1)
    if (isDenied || this.activeOn(port) >= this.options.maxConnections) {
      this.#turnAway(client, port)
      return true
    }
    if (this.#inherited.get(tag) !== true) setStreamOptions(client, this.protocol, this.options.keepaliveMs)
    new Dialling(this, port, client).begin()
    return true
  }

  #notAccepted(listener: number, tag: number, failure: number): boolean {
    if (failure === EAGAIN) {
      if (this.#inherited.has(tag)) this.#inherited.set(tag, true)
      return false
    }
    if (failure === EMFILE && this.reactor.descriptors.giveUpReserve()) {
      const client = libc.accept4(listener, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC)
      if (client >= 0) {
        this.count(tag % this.ports, ACCEPTED, 1)
        this.#turnAway(client, tag % this.ports)
      }
      this.reactor.descriptors.refill()
      return client >= 0
    }
    if (OF_ONE_CLIENT.has(failure)) return true
    this.pause(listener, tag)
    return false
  }

  #turnAway(client: number, port: number): void {
    this.turnedAway(port)
    resetOnClose(client)
    libc.close(client)
  }

  #endpoint(fd: number, ask: 'getpeername' | 'getsockname'): Endpoint {
    this.#length[0] = SOCKADDR_BYTES
    libc[ask](fd, this.#address, this.#lengthBytes)
    return readSockaddr(this.#address)
  }
}
