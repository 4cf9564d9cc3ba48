/**
 * A client for whom a target is being connected to.
 *
 *     dialling ──▶ Connection
 *        │ ▲
 *        ▼ │ retry
 *       held
 *
 * When a target fails, or is left, the next one is tried; when all have, the client is held, if it may wait for one to
 * listen, or reset. What epoll says of the client meanwhile is remembered for the Connection.
 */

import { constants } from 'node:os'
import { EPOLLERR, EPOLLIN, EPOLLOUT } from '../../ffi/reactor/reactor.ts'
import { isConnected, optionOf, resetOnClose, SO_ERROR, SOL_SOCKET } from '../../ffi/socket.ts'
import { FAILED } from '../counters.ts'
import type { FrozenConnection, FrozenHere } from '../frozen.ts'
import type { Balance } from '../worker/balance.ts'
import { ALL_EVENTS, CLIENT, END_EVENTS, StreamClient, type StreamHost, TARGET } from './client.ts'
import { Connection } from './connection.ts'

const FIRST_RETRY_MS = 10
const LONGEST_RETRY_MS = 250

const { EMFILE, ENFILE } = constants.errno

export class Dialling extends StreamClient {
  #balance: Balance
  readonly #heldUntil: number
  #retryMs = FIRST_RETRY_MS
  #tried: Set<number> | undefined
  #choice = -1
  /** −1: held. */
  #target = -1
  #readable = false
  #hungUp = false
  #gone = false

  /** @param client the accepted socket, ours from now on */
  constructor(service: StreamHost, port: number, client: number) {
    super(service, port, client)
    this.#balance = service.balance
    this.#heldUntil = service.reactor.now + service.options.waitMs
  }

  /** @throws SystemError where the kernel can watch no more */
  begin(): void {
    const { reactor } = this.service
    this.service.enter(this.port)
    reactor.descriptors.own(this.client)
    try {
      reactor.add(this.client, ALL_EVENTS, this, CLIENT)
      this.#dial()
    } catch (thrown) {
      this.reset()
      throw thrown
    }
  }

  ready(fd: number, events: number, side: number): void {
    if (side === TARGET) {
      this.#answered(events)
      return
    }
    if (events & (EPOLLIN | END_EVENTS)) this.#readable = true
    if (events & END_EVENTS) this.#hungUp = true
    if (events & EPOLLERR && optionOf(fd, SOL_SOCKET, SO_ERROR) > 0) this.reset()
  }

  expire(): void {
    if (this.#target >= 0) this.#failed()
    else this.#again()
  }

  /** Others may have come meanwhile. */
  #again(): void {
    this.#balance = this.service.balance
    this.#tried = undefined
    this.#dial()
  }

  reset(): void {
    if (this.#gone) return
    this.#gone = true
    this.service.reactor.timers.clear(this)
    this.#hangUp()
    resetOnClose(this.client)
    this.service.leave(this.port, this.client)
  }

  /** Who is still being asked and is left is waited for no longer. */
  retargeted(): undefined {
    if (this.#target < 0 || isConnected(this.#target)) return
    if (this.#balance.leftBy(this.service.balance, this.#choice) === undefined) return
    this.service.reactor.timers.clear(this)
    this.#hangUp()
    this.#again()
  }

  /**
   * A target that has answered goes along, as it may have accepted us, and would see us leave without a word. One that has
   * not is forgotten.
   */
  freeze(): FrozenHere<FrozenConnection> {
    const { port, client } = this
    if (this.#target >= 0 && isConnected(this.#target)) return this.#connected().freeze()
    this.#gone = true
    this.service.reactor.timers.clear(this)
    this.#hangUp()
    this.service.letGo(port, client)
    const nothing = { ended: false, endPassed: false }
    return { kind: 'connection', port, client, choice: 0, up: nothing, down: nothing }
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
      const fd = dialer.dial(destination, protocol, this.port, options.keepaliveMs)
      if (fd >= 0) {
        this.#target = fd
        this.#balance.enter(this.#choice)
        reactor.descriptors.own(fd)
        reactor.add(fd, ALL_EVENTS, this, TARGET)
        reactor.timers.set(this, reactor.now + options.connectTimeoutMs)
        return
      }
      if (fd === -EMFILE || fd === -ENFILE) {
        this.service.turnedAway(this.port)
        this.reset()
        return
      }
      this.#markTried()
    }
  }

  #answered(events: number): void {
    const target = this.#target
    if (events & EPOLLERR && optionOf(target, SOL_SOCKET, SO_ERROR) !== 0) {
      this.#failed()
      return
    }
    if (events & EPOLLOUT) this.#connected().open(this.#readable, this.#hungUp, events)
  }

  #connected(): Connection {
    const { service, port, client } = this
    const target = this.#target
    this.#gone = true
    service.reactor.timers.clear(this)
    const connection = new Connection(service, port, client, target, this.#balance, this.#choice)
    service.reactor.pass(client, connection)
    service.reactor.pass(target, connection)
    connection.introduce()
    return connection
  }

  /** The target did not answer, or not in time. */
  #failed(): void {
    this.service.reactor.timers.clear(this)
    this.#hangUp()
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
    if (left > 0) {
      reactor.timers.set(this, reactor.now + Math.min(this.#retryMs, left))
      this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS)
      return
    }
    this.service.count(this.port, FAILED, 1)
    this.reset()
  }

  #hangUp(): void {
    if (this.#target < 0) return
    this.service.reactor.close(this.#target)
    this.#target = -1
    this.#balance.leave(this.#choice)
  }
}
