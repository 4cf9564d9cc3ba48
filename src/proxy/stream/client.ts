/** A client of a stream port, from accept to close: first a Dialling, then a Connection. */

import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  type Source,
} from '../../ffi/reactor/reactor.ts'
import type { Timed } from '../../ffi/reactor/timers.ts'
import type { Destination } from '../destination.ts'
import type { FrozenConnection, FrozenHere } from '../frozen.ts'
import type { Service } from '../worker/service.ts'

// Tags of the two sockets.
export const CLIENT = 0
export const TARGET = 1

export const ALL_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
/** The peer has ended its side, or the socket has failed. */
export const END_EVENTS = EPOLLRDHUP | EPOLLHUP | EPOLLERR

/** What a client asks of the service that accepted it. */
export interface StreamHost
  extends Pick<
    Service,
    'reactor' | 'dialer' | 'tools' | 'protocol' | 'options' | 'balance' | 'count' | 'turnedAway'
  > {
  /** A client is here. */
  enter(port: number): void
  /** A client has left, and its socket is to be closed. */
  leave(port: number, client: number): void
  /** A client goes on elsewhere. */
  letGo(port: number, client: number): void
  /** What a target is told about its client before anything else. */
  header(client: number): Uint8Array | undefined
}

export abstract class StreamClient implements Source, Timed {
  wakeAt = 0
  heapIndex = -1
  readonly service: StreamHost
  /** Index of the published port. */
  readonly port: number
  /** The accepted socket. */
  readonly client: number

  constructor(service: StreamHost, port: number, client: number) {
    this.service = service
    this.port = port
    this.client = client
  }

  abstract ready(fd: number, events: number, side: number): void
  abstract expire(): void

  /** Ends it the hard way: whoever is connected sees a reset. */
  abstract reset(): void

  /** Clients are taken to other targets. @returns the one that it goes on with, and that is none of them */
  abstract retargeted(): Destination | undefined

  /** Stands still, and lets go of the sockets without closing them. */
  abstract freeze(): FrozenHere<FrozenConnection>

  fail(): void {
    this.reset()
  }
}
