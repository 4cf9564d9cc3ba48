/**
 * A client and its target, connected: two halves that move on their own, and end on their own by passing
 * the end of the stream on. A failure of either socket resets both: a peer that died must never look like
 * one that finished.
 *
 * Every way out is `#leave`, once.
 */

import { libc } from '../../ffi/ffi.ts'
import { EPOLLERR, EPOLLIN, EPOLLOUT, type Task } from '../../ffi/reactor/reactor.ts'
import {
  hasAssociation,
  MSG_NOSIGNAL,
  optionOf,
  resetOnClose,
  SHUT_WR,
  SO_ERROR,
  SOL_SOCKET,
} from '../../ffi/socket.ts'
import { BYTES_IN, BYTES_OUT } from '../counters.ts'
import type { Destination } from '../destination.ts'
import type { FrozenConnection, FrozenHere } from '../frozen.ts'
import type { Balance } from '../worker/balance.ts'
import { ALL_EVENTS, CLIENT, END_EVENTS, StreamClient, type StreamHost, TARGET } from './client.ts'
import { Half } from './half.ts'

export class Connection extends StreamClient implements Task {
  readonly #target: number
  readonly #balance: Balance
  readonly #choice: number
  readonly #up = new Half()
  readonly #down = new Half()
  #activeAt = 0
  #queued = false
  #gone = false

  /** @param choice index of the target that `target` is connected to, entered in the balance */
  constructor(
    service: StreamHost,
    port: number,
    client: number,
    target: number,
    balance: Balance,
    choice: number,
  ) {
    super(service, port, client)
    this.#target = target
    this.#balance = balance
    this.#choice = choice
  }

  /** Tells the target about its client, before anything else. */
  introduce(): void {
    const header = this.service.header(this.client)
    if (header !== undefined) libc.send(this.#target, header, header.length, MSG_NOSIGNAL)
  }

  /**
   * Begins to move.
   * @param readable what epoll has said of the client
   * @param hungUp the same
   * @param events what it says of the target
   */
  open(readable: boolean, hungUp: boolean, events: number): void {
    this.#up.readable = readable
    this.#up.hungUp = hungUp
    this.#up.writable = true
    this.#down.readable = (events & (EPOLLIN | END_EVENTS)) !== 0
    this.#down.hungUp = (events & END_EVENTS) !== 0
    this.#down.writable = true
    this.#activeAt = this.service.reactor.now
    this.#watchIdle()
    this.#move()
  }

  /** Goes on with a connection that stood still, in this process or another. @throws SystemError */
  thaw({ up, down }: FrozenConnection): void {
    const { reactor } = this.service
    this.service.enter(this.port)
    this.#balance.enter(this.#choice)
    this.#up.thaw(up)
    this.#down.thaw(down)
    this.#activeAt = reactor.now
    for (const fd of [this.client, this.#target]) reactor.descriptors.own(fd)
    try {
      // epoll says at once what there is.
      reactor.add(this.client, ALL_EVENTS, this, CLIENT)
      reactor.add(this.#target, ALL_EVENTS, this, TARGET)
    } catch (thrown) {
      this.reset()
      throw thrown
    }
    this.#watchIdle()
  }

  freeze(): FrozenHere<FrozenConnection> {
    const { reactor, tools } = this.service
    this.#gone = true
    reactor.timers.clear(this)
    this.#balance.leave(this.#choice)
    reactor.remove(this.#target)
    this.service.letGo(this.port, this.client)
    return {
      kind: 'connection',
      port: this.port,
      client: this.client,
      target: this.#target,
      choice: this.#balance.indexIn(this.service.balance, this.#choice),
      up: this.#up.freeze(tools),
      down: this.#down.freeze(tools),
    }
  }

  ready(fd: number, events: number, side: number): void {
    const inward = side === CLIENT ? this.#up : this.#down
    const outward = side === CLIENT ? this.#down : this.#up
    if (events & (EPOLLIN | END_EVENTS)) inward.readable = true
    if (events & END_EVENTS) inward.hungUp = true
    if (events & EPOLLOUT) outward.writable = true
    this.#move()
    // An error stays where nothing could be read, as the other side took nothing.
    if (events & EPOLLERR && !this.#gone && optionOf(fd, SOL_SOCKET, SO_ERROR) > 0) this.reset()
  }

  resume(): void {
    this.#queued = false
    if (!this.#gone) this.#move()
  }

  expire(): void {
    if (this.service.reactor.now - this.#activeAt >= this.#idleMs()) this.reset()
    else this.#watchIdle()
  }

  reset(): void {
    this.#leave(true)
  }

  retargeted(): Destination | undefined {
    return this.#balance.leftBy(this.service.balance, this.#choice)
  }

  #move(): void {
    const { reactor, tools, protocol } = this.service
    const whole = protocol === 'sctp'
    if (whole) this.#noticeEnd()
    const up = this.#up.advance(this.client, this.#target, tools, whole)
    const down = up === 'failed' ? up : this.#down.advance(this.#target, this.client, tools, whole)
    this.#count()
    if (down === 'failed') this.reset()
    else if (this.#up.finished && this.#down.finished) this.#leave(false)
    else {
      this.#passEnd()
      if ((up === 'more' || down === 'more') && !this.#queued) {
        this.#queued = true
        reactor.again(this)
      }
    }
  }

  /** Where one half has finished and the other goes on, the reader of the one is told. */
  #passEnd(): void {
    const half = this.#up.finished ? this.#up : this.#down
    if (!half.finished || half.endPassed) return
    half.endPassed = true
    libc.shutdown(half === this.#up ? this.#target : this.client, SHUT_WR)
    this.#watchIdle()
  }

  /**
   * Whoever ends an association is not told that the other side has ended as well: Linux wakes us, and reads nothing.
   * What tells is that there is no association any more.
   */
  #noticeEnd(): void {
    const half = this.#up.endPassed ? this.#down : this.#up
    const isLeft = this.#up.endPassed || this.#down.endPassed
    if (!isLeft || half.isLast || hasAssociation(half === this.#down ? this.#target : this.client)) return
    half.isLast = true
    half.readable = true
  }

  #count(): void {
    const { moved: up } = this.#up
    const { moved: down } = this.#down
    if (up === 0 && down === 0) return
    this.#up.moved = 0
    this.#down.moved = 0
    this.#activeAt = this.service.reactor.now
    this.service.count(this.port, BYTES_IN, up)
    this.service.count(this.port, BYTES_OUT, down)
  }

  /** 0: may be idle for ever. */
  #idleMs(): number {
    const { idleMs, halfClosedIdleMs } = this.service.options
    const half = this.#up.finished || this.#down.finished
    return half && halfClosedIdleMs > 0 ? halfClosedIdleMs : idleMs
  }

  #watchIdle(): void {
    const idleMs = this.#idleMs()
    if (idleMs > 0) this.service.reactor.timers.set(this, this.#activeAt + idleMs)
  }

  #leave(hard: boolean): void {
    if (this.#gone) return
    this.#gone = true
    const { reactor, tools } = this.service
    reactor.timers.clear(this)
    this.#up.release(tools)
    this.#down.release(tools)
    if (hard) {
      resetOnClose(this.client)
      resetOnClose(this.#target)
    }
    this.#balance.leave(this.#choice)
    reactor.close(this.#target)
    this.service.leave(this.port, this.client)
  }
}
