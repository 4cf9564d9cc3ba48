/**
 * A UDP client's session: a connected socket of its own towards the target, so that replies find back and
 * the target sees one source port as long as the session lasts.
 *
 * Replies go out through the published socket, to the client and from the address that the client asked;
 * else a client that looks at the source would drop them.
 *
 * Datagrams of either side keep the session. The target's socket may report what ICMP said of an earlier
 * datagram ("port unreachable"): the session outlives that, since the target may come back.
 */

import { CONTROL_WORDS, NAME_WORDS, SLOTS } from '../../ffi/reactor/message-layout.ts'
import { EPOLLIN, type Source } from '../../ffi/reactor/reactor.ts'
import type { Timed } from '../../ffi/reactor/timers.ts'
import { IPPROTO_IPV6 } from '../../ffi/socket.ts'
import { BYTES_OUT, DATAGRAMS_OUT, EVICTED, FAILED } from '../counters.ts'
import type { FrozenHere, FrozenSession } from '../frozen.ts'
import type { Service } from '../worker/service.ts'
import type { Datagrams } from './batch.ts'
import type { Route } from './outbox.ts'
import { DATA, isV4, LEVEL, type Peer, V4_SOURCE } from './peer.ts'
import type { Guest, Place, Room } from './room.ts'

/** struct sockaddr_in and sockaddr_in6. */
const V4_BYTES = 16
const V6_BYTES = 28

/** Batches taken in one turn. */
const TURN_BATCHES = 4

/** What a session asks of the service that began it. */
export interface SessionHost extends Pick<Service, 'reactor' | 'options' | 'count'> {
  readonly datagrams: Datagrams
  /** The published socket, and its port, by the tag that the reactor has for it. */
  socketOf(tag: number): number
  portOf(tag: number): number
  /** The session has ended. */
  forget(session: Session): void
}

export class Session implements Source, Timed, Guest {
  wakeAt = 0
  heapIndex = -1
  /** Next one with the same hash. */
  next: Session | undefined
  readonly hash: number
  readonly service: SessionHost
  answered: boolean
  activeAt: number
  /** Index of the destination. */
  choice: number
  readonly #tag: number
  /** Where datagrams of the client go, and where replies go. */
  readonly #onward: Route
  readonly #back: Route
  readonly #name: Int32Array
  readonly #nameBytes: number
  readonly #control: Int32Array
  #controlBytes: number
  #places: readonly Place<Session>[] = []

  /**
   * @param fd connected to the target, and ours
   * @param past what it was before it came to us
   */
  constructor(
    service: SessionHost,
    tag: number,
    hash: number,
    peer: Peer,
    choice: number,
    fd: number,
    { answered = false, idleMs = 0 }: Pick<Partial<FrozenSession>, 'answered' | 'idleMs'> = {},
  ) {
    this.service = service
    this.answered = answered
    this.activeAt = service.reactor.now - idleMs
    this.hash = hash
    this.choice = choice
    this.#tag = tag
    this.#onward = { fd, segments: true }
    this.#back = { fd: service.socketOf(tag), segments: true }
    this.#name = peer.name
    this.#nameBytes = isV4(this.#name) ? V4_BYTES : V6_BYTES
    this.#control = peer.control
    this.#controlBytes = peer.controlBytes
  }

  /** Takes its places. @throws SystemError where the kernel can watch no more */
  begin(rooms: readonly Room<Session>[]): void {
    const { reactor } = this.service
    this.#places = rooms.map(room => room.enter(this))
    reactor.descriptors.own(this.#onward.fd)
    try {
      reactor.add(this.#onward.fd, EPOLLIN, this, 0)
    } catch (thrown) {
      this.end()
      throw thrown
    }
    this.#watchIdle()
  }

  /** Is the datagram in a slot one of ours: same client, same published port, same address asked? */
  owns(datagrams: Datagrams, slot: number, tag: number): boolean {
    if (tag !== this.#tag) return false
    const { names, controls } = datagrams
    const words = this.#nameBytes === V4_BYTES ? 2 : 7
    for (let i = 0; i < words; i++) if (names[slot * NAME_WORDS + i] !== this.#name[i]) return false
    if (this.#controlBytes === 0) return true
    const at = slot * CONTROL_WORDS
    if (this.#control[LEVEL] !== IPPROTO_IPV6) return controls[at + V4_SOURCE] === this.#control[V4_SOURCE]
    for (let i = DATA; i < DATA + 4; i++) if (controls[at + i] !== this.#control[i]) return false
    return true
  }

  /** Sends slots on to the target. */
  forward(first: number, count: number): void {
    this.#used(false)
    const lost = this.service.datagrams.forwards.send(this.#onward, first, count)
    if (lost > 0) this.service.count(this.port, FAILED, lost)
  }

  /** Replies have come. */
  ready(): void {
    const { datagrams } = this.service
    for (let batch = 0; batch < TURN_BATCHES; batch++) {
      const count = datagrams.receive(this.#onward.fd)
      if (count <= 0) return // for an error this was its report, and it is gone
      this.#used(true)
      this.#reply(datagrams, count)
      if (count < SLOTS) return
    }
  }

  expire(): void {
    if (this.service.reactor.now - this.activeAt >= this.service.options.sessionIdleMs) this.end()
    else this.#watchIdle()
  }

  /** Ends, so that there is room for another. */
  evict(): void {
    this.service.count(this.port, EVICTED, 1)
    this.end()
  }

  fail(): void {
    this.end()
  }

  end(): void {
    this.service.reactor.timers.clear(this)
    this.service.reactor.close(this.#onward.fd)
    this.#leave()
  }

  /** Stands still, with what has not arrived yet in its socket. */
  freeze(): FrozenHere<FrozenSession> {
    const { reactor } = this.service
    reactor.timers.clear(this)
    reactor.remove(this.#onward.fd)
    this.#leave()
    return {
      kind: 'session',
      socket: this.#tag,
      target: this.#onward.fd,
      choice: this.choice,
      answered: this.answered,
      idleMs: reactor.now - this.activeAt,
      name: [...this.#name],
      control: [...this.#control.subarray(0, this.#controlBytes / 4)],
    }
  }

  /** Index of the published port. */
  get port(): number {
    return this.service.portOf(this.#tag)
  }

  #reply(datagrams: Datagrams, count: number): void {
    const { replies } = datagrams
    replies.name.set(this.#name)
    replies.control.set(this.#control)
    let lost = replies.send(this.#back, 0, count, this.#nameBytes, this.#controlBytes)
    if (lost === count && this.#controlBytes > 0) {
      // Asked on a multicast address, or on one that is gone: answer from any.
      this.#controlBytes = 0
      lost = replies.send(this.#back, 0, count, this.#nameBytes, 0)
    }
    let bytes = 0
    for (let slot = 0; slot < count; slot++) bytes += datagrams.length(slot)
    this.service.count(this.port, BYTES_OUT, bytes)
    this.service.count(this.port, DATAGRAMS_OUT, count - lost)
    if (lost > 0) this.service.count(this.port, FAILED, lost)
  }

  /** @param answers by its target */
  #used(answers: boolean): void {
    const { now } = this.service.reactor
    if (answers && !this.answered) {
      for (const place of this.#places) place.room.promote(place)
      this.answered = true
    } else if (this.activeAt !== now) for (const place of this.#places) place.room.touch(place)
    this.activeAt = now
  }

  #leave(): void {
    for (const place of this.#places) place.room.leave(place)
    this.service.forget(this)
  }

  #watchIdle(): void {
    this.service.reactor.timers.set(this, this.activeAt + this.service.options.sessionIdleMs)
  }
}
