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

import { IPPROTO_IPV6 } from '../ffi/socket.ts'
import { BYTES_OUT, DATAGRAMS_OUT, FAILED } from './counters.ts'
import type { Datagrams } from './datagrams.ts'
import type { FrozenHere, FrozenSession } from './frozen.ts'
import { CONTROL_WORDS, NAME_WORDS, SLOTS } from './message-layout.ts'
import type { Route } from './outbox.ts'
import { EPOLLIN, type Source } from './reactor.ts'
import type { Linked } from './recency.ts'
import type { Timed } from './timers.ts'
import type { DatagramService } from './udp.ts'

const AF_INET = 2
/** struct sockaddr_in and sockaddr_in6. */
const V4_BYTES = 16
const V6_BYTES = 28
// In words: a control message's header, and where in6_pktinfo and in_pktinfo have their fields.
const LEVEL = 2
const DATA = 4
const V6_IFINDEX = DATA + 4
const V4_IFINDEX = DATA
const V4_SOURCE = DATA + 1
const LINK_LOCAL_MASK = 0xc0ff
const LINK_LOCAL = 0x80fe

/** Batches taken in one turn. */
const TURN_BATCHES = 4

export class Session implements Source, Timed, Linked<Session> {
  wakeAt = 0
  heapIndex = -1
  older: Session | undefined
  newer: Session | undefined
  /** Next one with the same hash. */
  next: Session | undefined
  readonly hash: number
  /** Which sessions of one client count together. */
  readonly sourceKey: string
  readonly service: DatagramService
  answered = false
  /** Index of the destination. */
  readonly choice: number
  readonly #tag: number
  /** Where datagrams of the client go, and where replies go. */
  readonly #onward: Route
  readonly #back: Route
  readonly #name: Int32Array
  readonly #nameBytes: number
  readonly #control: Int32Array
  #controlBytes: number
  #activeAt: number

  /** @param fd connected to the target, and ours */
  constructor(service: DatagramService, tag: number, hash: number, peer: Peer, choice: number, fd: number) {
    this.service = service
    this.hash = hash
    this.choice = choice
    this.#tag = tag
    this.#onward = { fd, segments: true }
    this.#back = { fd: service.socketOf(tag), segments: true }
    this.#name = peer.name
    this.#nameBytes = isV4(this.#name) ? V4_BYTES : V6_BYTES
    this.#control = peer.control
    this.#controlBytes = peer.controlBytes
    this.sourceKey = sourceKey(peer.name, 0)
    this.#activeAt = service.reactor.now
  }

  /** @throws SystemError where the kernel can watch no more */
  begin(): void {
    const { reactor } = this.service
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
    this.#activeAt = this.service.reactor.now
    const lost = this.service.datagrams.forwards.send(this.#onward, first, count)
    if (lost > 0) this.service.count(this.port, FAILED, lost)
  }

  /** Replies have come. */
  ready(): void {
    const { datagrams } = this.service
    for (let batch = 0; batch < TURN_BATCHES; batch++) {
      const count = datagrams.receive(this.#onward.fd)
      if (count <= 0) return // for an error this was its report, and it is gone
      this.#activeAt = this.service.reactor.now
      this.service.used(this, true)
      this.#reply(datagrams, count)
      if (count < SLOTS) return
    }
  }

  expire(): void {
    const { sessionIdleMs, unansweredIdleMs } = this.service.options
    const idleMs = this.answered ? sessionIdleMs : unansweredIdleMs
    if (this.service.reactor.now - this.#activeAt >= idleMs) this.end()
    else this.#watchIdle()
  }

  fail(): void {
    this.end()
  }

  end(): void {
    this.service.reactor.timers.clear(this)
    this.service.reactor.close(this.#onward.fd)
    this.service.forget(this)
  }

  /** Stands still, with what has not arrived yet in its socket. */
  freeze(): FrozenHere<FrozenSession> {
    const { reactor } = this.service
    reactor.timers.clear(this)
    reactor.remove(this.#onward.fd)
    this.service.forget(this)
    return {
      kind: 'session',
      socket: this.#tag,
      target: this.#onward.fd,
      choice: this.choice,
      answered: this.answered,
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

  #watchIdle(): void {
    const { sessionIdleMs, unansweredIdleMs } = this.service.options
    const idleMs = this.answered ? sessionIdleMs : unansweredIdleMs
    this.service.reactor.timers.set(this, this.#activeAt + idleMs)
  }
}

/** A client, and the address that it asked. */
export interface Peer {
  /** struct sockaddr */
  name: Int32Array
  /** struct cmsghdr, of which this many bytes mean something. */
  control: Int32Array
  controlBytes: number
}

/** The one whose datagram is in a slot. */
export function peerOf(datagrams: Datagrams, slot: number): Peer {
  const name = datagrams.names.slice(slot * NAME_WORDS, (slot + 1) * NAME_WORDS)
  const control = datagrams.controls.slice(slot * CONTROL_WORDS, (slot + 1) * CONTROL_WORDS)
  const controlBytes = datagrams.controlLength(slot)
  if (controlBytes > 0) forgetInterface(control)
  return { name, control, controlBytes }
}

/** @throws RangeError for words that do not fit */
export function thawedPeer({ name, control }: FrozenSession): Peer {
  const peer = {
    name: new Int32Array(NAME_WORDS),
    control: new Int32Array(CONTROL_WORDS),
    controlBytes: control.length * 4,
  }
  peer.name.set(name)
  peer.control.set(control)
  return peer
}

const isV4 = (name: Int32Array): boolean => ((name[0] ?? 0) & 0xffff) === AF_INET

/** The route decides which way a reply leaves, unless the address means nothing without its interface. */
function forgetInterface(control: Int32Array): void {
  if (control[LEVEL] !== IPPROTO_IPV6) control[V4_IFINDEX] = 0
  else if (((control[DATA] ?? 0) & LINK_LOCAL_MASK) !== LINK_LOCAL) control[V6_IFINDEX] = 0
}

/** An IPv4 address, or the /64 in which a client may choose its IPv6 addresses freely. */
export function sourceKey(names: Int32Array, slot: number): string {
  const at = slot * NAME_WORDS
  const [first = 0, second = 0, a = 0, b = 0, c = 0, d = 0] = names.subarray(at, at + 6)
  if ((first & 0xffff) === AF_INET) return String(second)
  return a === 0 && b === 0 ? `${c} ${d}` : `${a} ${b}`
}
