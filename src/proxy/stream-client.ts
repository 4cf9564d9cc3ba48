/** A client of a stream port, from accept to close: first a Dialling, then a Connection. */

import { libc } from '../ffi/ffi.ts'
import { SO_LINGER, SOL_SOCKET } from '../ffi/socket.ts'
import type { FrozenConnection, FrozenHere } from './frozen.ts'
import { EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, type Source } from './reactor.ts'
import type { StreamService } from './tcp.ts'
import type { Timed } from './timers.ts'

// Tags of the two sockets.
export const CLIENT = 0
export const TARGET = 1

export const ALL_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
/** The peer has ended its side, or the socket has failed. */
export const END_EVENTS = EPOLLRDHUP | EPOLLHUP | EPOLLERR

export abstract class StreamClient implements Source, Timed {
  wakeAt = 0
  heapIndex = -1
  readonly service: StreamService
  /** Index of the published port. */
  readonly port: number
  /** The accepted socket. */
  readonly client: number

  constructor(service: StreamService, port: number, client: number) {
    this.service = service
    this.port = port
    this.client = client
  }

  abstract ready(fd: number, events: number, side: number): void
  abstract expire(): void

  /** Ends it the hard way: whoever is connected sees a reset. */
  abstract reset(): void

  /** Stands still, and lets go of the sockets without closing them. */
  abstract freeze(): FrozenHere<FrozenConnection>

  fail(): void {
    this.reset()
  }
}

const linger = new Uint8Array(new Int32Array([1, 0]).buffer) // struct linger: on, for 0 s

/** Makes close(2) send a reset, whatever is still to be sent. */
export function resetOnClose(fd: number): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, linger.length)
}
