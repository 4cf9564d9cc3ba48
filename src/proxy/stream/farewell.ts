/**
 * Whether a target that is led to no more is still there.
 *
 * One that is only drained goes on with its clients. One that was deleted on another machine answers nothing, not even that it
 * is gone: what clients sent would be sent again for a quarter of an hour, and who only listens would wait for ever. So it is
 * asked once, by a connection that says nothing. Whoever answers, also that nobody listens, is there.
 */

import { constants } from 'node:os'
import { EPOLLERR, EPOLLIN, EPOLLOUT, type Source } from '../../ffi/reactor/reactor.ts'
import type { Timed } from '../../ffi/reactor/timers.ts'
import { optionOf, SO_ERROR, SOL_SOCKET } from '../../ffi/socket.ts'
import type { Destination } from '../destination.ts'
import { END_EVENTS, type StreamHost } from './client.ts'

const { ECONNREFUSED, ECONNRESET } = constants.errno

export class Farewell implements Source, Timed {
  wakeAt = 0
  heapIndex = -1
  readonly #service: StreamHost
  readonly #gone: () => void
  #target = -1

  /** @param gone is called if it is not there */
  constructor(service: StreamHost, gone: () => void) {
    this.#service = service
    this.#gone = gone
  }

  /** Where we can ask nothing, for want of descriptors, nothing is known of it. @throws SystemError */
  ask(destination: Destination, port: number): void {
    const { reactor, dialer, protocol, options } = this.#service
    const fd = dialer.dial(destination, protocol, port, 0)
    if (fd < 0) return
    this.#target = fd
    reactor.descriptors.own(fd)
    reactor.add(fd, EPOLLIN | EPOLLOUT | END_EVENTS, this, 0)
    reactor.timers.set(this, reactor.now + options.connectTimeoutMs)
  }

  ready(fd: number, events: number): void {
    const failure = events & EPOLLERR ? optionOf(fd, SOL_SOCKET, SO_ERROR) : 0
    this.#end(![0, ECONNREFUSED, ECONNRESET].includes(failure))
  }

  expire(): void {
    this.#end(true)
  }

  fail(): void {
    this.#end(false)
  }

  #end(isGone: boolean): void {
    if (this.#target < 0) return
    this.#service.reactor.timers.clear(this)
    this.#service.reactor.close(this.#target)
    this.#target = -1
    if (isGone) this.#gone()
  }
}
