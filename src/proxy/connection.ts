/**
 * One client's connection and the one that is made for it.
 *
 *     dialling ──▶ open ──▶ gone
 *        │ ▲
 *        ▼ │ retry
 *       held
 *
 * - dialling: a target is being connected to. When it fails the next one is tried; when all have, the
 *   client is held (if it may wait) or reset.
 * - held: no target listens yet; tried again until the wait is over.
 * - open: each half moves on its own, and ends on its own by passing the end of the stream on. A failure
 *   of either socket resets both: a peer that died must never look like one that finished.
 *
 * Every way out is `#leave`, once.
 */

import { constants } from 'node:os'
import { libc } from '../ffi/ffi.ts'
import { MSG_NOSIGNAL, optionOf, SHUT_WR, SO_ERROR, SO_LINGER, SOL_SOCKET } from '../ffi/socket.ts'
import type { Balance } from './balance.ts'
import { ACTIVE, BYTES_IN, BYTES_OUT, FAILED } from './counters.ts'
import { setStreamOptions } from './dial.ts'
import type { FrozenConnection } from './frozen.ts'
import { Half } from './half.ts'
import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  type Source,
  type Task,
} from './reactor.ts'
import type { StreamService } from './tcp.ts'
import type { Timed } from './timers.ts'

const CLIENT = 0
const TARGET = 1
const ALL_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET
const END_EVENTS = EPOLLRDHUP | EPOLLHUP | EPOLLERR

const FIRST_RETRY_MS = 10
const LONGEST_RETRY_MS = 250

const { EMFILE, ENFILE } = constants.errno

type State = 'dialling' | 'held' | 'open' | 'gone'

export class Connection implements Source, Task, Timed {
  wakeAt = 0
  heapIndex = -1
  readonly service: StreamService
  readonly #port: number
  readonly #client: number
  readonly #balance: Balance
  readonly #up = new Half()
  readonly #down = new Half()
  #state: State = 'dialling'
  #target = -1
  #choice = -1
  #tried: Set<number> | undefined
  #heldUntil = 0
  #retryMs = FIRST_RETRY_MS
  #activeAt = 0
  #queued = false

  /**
   * Begins to dial.
   * @param port index of the published port
   * @param client the accepted socket, ours from now on
   */
  constructor(service: StreamService, port: number, client: number) {
    this.service = service
    this.#port = port
    this.#client = client
    this.#balance = service.balance
  }

  /** @throws SystemError where the kernel can watch no more */
  begin(): void {
    const { reactor, options } = this.service
    this.service.count(this.#port, ACTIVE, 1)
    this.service.active++
    reactor.descriptors.own(this.#client)
    this.#heldUntil = reactor.now + options.waitMs
    try {
      reactor.add(this.#client, ALL_EVENTS, this, CLIENT)
      this.#dial()
    } catch (thrown) {
      this.reset()
      throw thrown
    }
  }

  /** Goes on with a connection that stood still, in this process or another. @throws SystemError */
  thaw({ target, choice, up, down }: FrozenConnection): void {
    if (target === undefined) {
      this.begin()
      return
    }
    const { reactor } = this.service
    this.service.count(this.#port, ACTIVE, 1)
    this.service.active++
    this.#target = target
    this.#choice = choice
    this.#balance.enter(choice)
    this.#state = 'open'
    this.#up.thaw(up)
    this.#down.thaw(down)
    this.#activeAt = reactor.now
    try {
      for (const [side, fd] of [this.#client, target].entries()) {
        reactor.descriptors.own(fd)
        reactor.add(fd, ALL_EVENTS, this, side) // epoll says at once what there is
      }
    } catch (thrown) {
      this.reset()
      throw thrown
    }
    this.#watchIdle()
  }

  /** Stands still and lets go of both sockets without closing them. */
  freeze(): Omit<FrozenConnection, 'id'> | undefined {
    if (this.#state === 'gone') return undefined
    const { reactor, tools } = this.service
    const open = this.#state === 'open'
    reactor.timers.clear(this)
    const up = this.#up.freeze(tools)
    const down = this.#down.freeze(tools)
    if (!open) this.#dropTarget()
    const frozen = { port: this.#port, client: this.#client, choice: this.#choice, up, down }
    for (const fd of [this.#client, this.#target]) if (fd >= 0) reactor.remove(fd)
    if (open) this.#balance.leave(this.#choice)
    this.#state = 'gone'
    this.service.count(this.#port, ACTIVE, -1)
    this.service.left()
    return open ? { ...frozen, target: this.#target } : frozen
  }

  ready(_fd: number, events: number, side: number): void {
    const inward = side === CLIENT ? this.#up : this.#down
    const outward = side === CLIENT ? this.#down : this.#up
    if (events & (EPOLLIN | END_EVENTS)) inward.readable = true
    if (events & END_EVENTS) inward.hungUp = true
    if (this.#state === 'open') {
      if (events & EPOLLOUT) outward.writable = true
      this.#move()
    } else if (side === TARGET) {
      this.#connected(events)
      return
    }
    // An error stays where nothing could be read, as the other side took nothing.
    if (events & EPOLLERR) this.#checkError(side === CLIENT ? this.#client : this.#target)
  }

  resume(): void {
    this.#queued = false
    if (this.#state === 'open') this.#move()
  }

  fail(): void {
    this.reset()
  }

  expire(): void {
    const { reactor } = this.service
    if (this.#state === 'held') {
      this.#state = 'dialling'
      this.#tried = undefined
      this.#dial()
    } else if (this.#state === 'dialling') this.#nextTarget()
    else if (reactor.now - this.#activeAt >= this.#idleMs()) this.reset()
    else this.#watchIdle()
  }

  /** Ends both connections the hard way. */
  reset(): void {
    this.#leave(true)
  }

  #dial(): void {
    const { reactor, dialer, protocol, options } = this.service
    for (;;) {
      this.#choice = this.#balance.choose(this.#tried, reactor.now)
      const destination = this.#balance.destinations[this.#choice]
      if (destination === undefined) {
        this.#holdOrGiveUp()
        return
      }
      const fd = dialer.dial(destination, protocol, this.#port)
      if (fd >= 0) {
        this.#target = fd
        this.#balance.enter(this.#choice)
        reactor.descriptors.own(fd)
        reactor.add(fd, ALL_EVENTS, this, TARGET)
        reactor.timers.set(this, reactor.now + options.connectTimeoutMs)
        return
      }
      if (fd === -EMFILE || fd === -ENFILE) {
        this.service.turnedAway(this.#port)
        this.reset()
        return
      }
      this.#markTried()
    }
  }

  #connected(events: number): void {
    const { reactor, protocol, options } = this.service
    const failure = optionOf(this.#target, SOL_SOCKET, SO_ERROR)
    if (failure !== 0) {
      this.#nextTarget()
      return
    }
    if (!(events & EPOLLOUT)) return
    this.#state = 'open'
    this.#tried = undefined
    reactor.timers.clear(this)
    setStreamOptions(this.#target, protocol, options.keepaliveMs)
    const header = this.service.header(this.#client)
    if (header !== undefined) libc.send(this.#target, header, header.length, MSG_NOSIGNAL)
    this.#up.writable = true
    this.#down.writable = true
    this.#activeAt = reactor.now
    this.#watchIdle()
    this.#move()
  }

  /** The target did not answer. */
  #nextTarget(): void {
    const { reactor } = this.service
    reactor.timers.clear(this)
    this.#dropTarget()
    this.#down.readable = false
    this.#down.hungUp = false
    this.#markTried()
    this.#dial()
  }

  #markTried(): void {
    this.#balance.failed(this.#choice, this.service.reactor.now)
    this.#tried ??= new Set()
    this.#tried.add(this.#choice)
  }

  #holdOrGiveUp(): void {
    const { reactor } = this.service
    const left = this.#heldUntil - reactor.now
    if (left <= 0) {
      this.service.count(this.#port, FAILED, 1)
      this.reset()
      return
    }
    this.#state = 'held'
    reactor.timers.set(this, reactor.now + Math.min(this.#retryMs, left))
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS)
  }

  #move(): void {
    const { reactor, tools, protocol } = this.service
    const whole = protocol === 'sctp'
    const up = this.#up.advance(this.#client, this.#target, tools, whole)
    const down = up === 'failed' ? up : this.#down.advance(this.#target, this.#client, tools, whole)
    this.#count()
    if (down === 'failed') this.reset()
    else if (this.#up.finished && this.#down.finished) this.#leave(false)
    else {
      this.#passEnds()
      if ((up === 'more' || down === 'more') && !this.#queued) {
        this.#queued = true
        reactor.again(this)
      }
    }
  }

  /** Where one half has finished and the other goes on, its reader is told. */
  #passEnds(): void {
    const half = this.#up.finished ? this.#up : this.#down
    if (!half.finished || half.endPassed) return
    half.endPassed = true
    libc.shutdown(half === this.#up ? this.#target : this.#client, SHUT_WR)
    this.#watchIdle()
  }

  #count(): void {
    const { moved: up } = this.#up
    const { moved: down } = this.#down
    if (up === 0 && down === 0) return
    this.#up.moved = 0
    this.#down.moved = 0
    this.#activeAt = this.service.reactor.now
    this.service.count(this.#port, BYTES_IN, up)
    this.service.count(this.#port, BYTES_OUT, down)
  }

  #checkError(fd: number): void {
    if (this.#state !== 'gone' && optionOf(fd, SOL_SOCKET, SO_ERROR) > 0) this.reset()
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

  #dropTarget(): void {
    if (this.#target < 0) return
    this.service.reactor.close(this.#target)
    this.#target = -1
    this.#balance.leave(this.#choice)
  }

  #leave(hard: boolean): void {
    if (this.#state === 'gone') return
    this.#state = 'gone'
    const { reactor, tools } = this.service
    reactor.timers.clear(this)
    // Counted first: who sees the sockets close finds the counters right.
    this.service.count(this.#port, ACTIVE, -1)
    this.#up.release(tools)
    this.#down.release(tools)
    if (hard) {
      resetOnClose(this.#client)
      if (this.#target >= 0) resetOnClose(this.#target)
    }
    this.#dropTarget()
    reactor.close(this.#client)
    this.service.left()
  }
}

const linger = new Uint8Array(new Int32Array([1, 0]).buffer) // struct linger: on, for 0 s

/** Makes close(2) send a reset, whatever is still to be sent. */
export function resetOnClose(fd: number): void {
  libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, linger.length)
}
