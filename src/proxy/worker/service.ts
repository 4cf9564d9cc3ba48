/** What the services of all protocols have in common: the sockets of a publication, and its counters. */

import { EPOLLIN, type Reactor, type Source } from '../../ffi/reactor/reactor.ts'
import type { Timed } from '../../ffi/reactor/timers.ts'
import type { Assignment } from '../assignment.ts'
import { ACTIVE, FIELDS, REFUSED } from '../counters.ts'
import type { Destination } from '../destination.ts'
import type { Dialer } from '../dial.ts'
import type { FrozenClient, FrozenHere } from '../frozen.ts'
import type { Tools } from '../stream/half.ts'
import { AccessList } from './access.ts'
import { Balance } from './balance.ts'

/** What a worker has one of. */
export interface Plane {
  reactor: Reactor
  dialer: Dialer
  tools: Tools
}

/** Until sockets are asked again after the kernel ran short of something. */
const PAUSE_MS = 50

export abstract class Service implements Source, Timed {
  wakeAt = 0
  heapIndex = -1
  readonly reactor: Reactor
  readonly dialer: Dialer
  readonly tools: Tools
  readonly protocol: Assignment['protocol']
  readonly options: Assignment['options']
  readonly access: AccessList
  balance: Balance
  /** Clients there are now. */
  active = 0
  protected readonly sockets: Int32Array
  protected readonly ports: number
  readonly #counters: Float64Array
  readonly #others: Float64Array[]
  #paused: [fd: number, tag: number][] = []
  #onEmpty: (() => void) | undefined
  #silent = false
  #frozen: boolean

  constructor(plane: Plane, assignment: Assignment) {
    this.reactor = plane.reactor
    this.dialer = plane.dialer
    this.tools = plane.tools
    this.protocol = assignment.protocol
    this.options = assignment.options
    this.access = new AccessList(this.options.allow, this.options.deny)
    this.balance = new Balance(assignment.destinations)
    this.sockets = assignment.sockets
    this.ports = assignment.count
    const tables = assignment.counters.map(table => new Float64Array(table))
    this.#counters = tables[assignment.worker] ?? new Float64Array(0)
    this.#others = tables.filter(table => table !== this.#counters)
    this.#frozen = assignment.frozen
    if (!this.#frozen) this.#watch()
  }

  abstract ready(fd: number, events: number, tag: number): void

  /** Takes what clients sent before the sockets fall silent. */
  protected abstract takeLast(): void

  /** Ends all clients the hard way. */
  abstract reset(): void

  count(port: number, field: number, by: number): void {
    const at = port * FIELDS + field
    this.#counters[at] = (this.#counters[at] ?? 0) + by
  }

  /** Clients of a port, of all workers. */
  activeOn(port: number): number {
    const at = port * FIELDS + ACTIVE
    let sum = this.#counters[at] ?? 0
    for (const table of this.#others) sum += table[at] ?? 0
    return sum
  }

  turnedAway(port: number): void {
    this.count(port, REFUSED, 1)
  }

  /** A client has left. */
  left(): void {
    this.active--
    if (this.active === 0) this.#onEmpty?.()
  }

  retarget(destinations: Destination[]): void {
    this.balance = new Balance(destinations, this.balance)
  }

  /** Takes no new clients from now on. */
  silence(): void {
    if (this.#silent) return
    this.#silent = true
    if (!this.#frozen) {
      this.takeLast()
      for (const fd of this.sockets) this.reactor.remove(fd)
    }
    this.#paused = []
    this.reactor.timers.clear(this)
  }

  /**
   * Stands still: clients wait in the kernel. One that takes no clients any more goes on with those it has.
   * @returns the clients that can be handed over
   */
  freeze(): FrozenHere[] {
    if (this.#silent || this.#frozen) return []
    this.#frozen = true
    for (const fd of this.sockets) this.reactor.remove(fd)
    return this.freezeClients()
  }

  /** Takes clients again. */
  thaw(): void {
    if (!this.#frozen) return
    this.#frozen = false
    if (!this.#silent) this.#watch()
  }

  #watch(): void {
    for (const [tag, fd] of this.sockets.entries()) this.reactor.add(fd, EPOLLIN, this, tag)
  }

  protected abstract freezeClients(): FrozenHere[]

  /**
   * Goes on with a client of another process, or of ours before it stood still.
   * @returns false where it is none of ours
   */
  abstract adopt(client: FrozenClient): boolean

  /** Calls back when the last client has left; those that are still here after drainMs are reset. */
  drain(drainMs: number, done: () => void): void {
    if (this.active === 0) {
      done()
      return
    }
    this.#onEmpty = done
    if (drainMs > 0) this.reactor.timers.set(this, this.reactor.now + drainMs)
    else this.reset()
  }

  /** Leaves a socket alone for a moment. */
  protected pause(fd: number, tag: number): void {
    this.reactor.change(fd, 0, tag)
    this.#paused.push([fd, tag])
    this.reactor.timers.set(this, this.reactor.now + PAUSE_MS)
  }

  expire(): void {
    if (this.#silent) {
      this.reset()
      return
    }
    const paused = this.#paused
    this.#paused = []
    if (this.#frozen) return
    for (const [fd, tag] of paused) this.reactor.change(fd, EPOLLIN, tag)
  }

  /** A turn that threw took nothing with it that could be ended. */
  fail(): void {}
}
