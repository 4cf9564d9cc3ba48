/**
 * A published range of UDP ports: finds the session of each datagram, or begins one.
 *
 * Sessions cost a descriptor each, so their number is bounded, for all clients and for each address. Who
 * was idle longest makes room; those whose target never answered go first, so that a flood of forged
 * addresses pushes out itself and not those who talk.
 */

import { constants } from 'node:os'
import { readSockaddr } from '../ffi/sockaddr.ts'
import { setReceiveBuffer } from '../ffi/socket.ts'
import type { Assignment } from './assignment.ts'
import { ACCEPTED, ACTIVE, BYTES_IN, DATAGRAMS_IN, FAILED } from './counters.ts'
import type { Datagrams } from './datagrams.ts'
import type { Destination } from './destination.ts'
import type { FrozenClient, FrozenHere } from './frozen.ts'
import { NAME_WORDS, SLOTS } from './message-layout.ts'
import { Recency } from './recency.ts'
import { type Plane, Service } from './service.ts'
import { peerOf, Session, sourceKey, thawedPeer } from './session.ts'

/** Batches taken in one turn before others get theirs. */
const TURN_BATCHES = 4
/** A burst waits here while others have their turn. */
const BUFFER_BYTES = 1 << 20

const { EMFILE } = constants.errno

export class DatagramService extends Service {
  readonly datagrams: Datagrams
  readonly #sessions = new Map<number, Session>()
  readonly #answered = new Recency<Session>()
  readonly #unanswered = new Recency<Session>()
  readonly #bySource = new Map<string, Set<Session>>()
  /** Nobody outside can choose clients that meet in one place of the table. */
  readonly #seed = (Math.random() * 2 ** 31) | 0

  constructor(plane: Plane, assignment: Assignment, datagrams: Datagrams) {
    super(plane, assignment)
    this.datagrams = datagrams
  }

  ready(socket: number, _events: number, tag: number): void {
    for (let batch = 0; batch < TURN_BATCHES; batch++) if (!this.#take(socket, tag)) return
  }

  protected takeLast(): void {}

  override adopt(frozen: FrozenClient): boolean {
    if (frozen.kind !== 'session' || this.sockets[frozen.socket] === undefined) return false
    const peer = thawedPeer(frozen)
    const { socket, choice, target, answered } = frozen
    const session = new Session(this, socket, this.#hash(peer.name, 0, socket), peer, choice, target)
    this.#remember(session)
    session.begin()
    if (answered) this.used(session, true)
    return true
  }

  protected override freezeClients(): FrozenHere[] {
    return this.#all().map(session => session.freeze())
  }

  override silence(): void {
    super.silence()
    this.reset()
  }

  override retarget(destinations: Destination[]): void {
    this.reset() // the old target would be kept for as long as the client goes on
    super.retarget(destinations)
  }

  override reset(): void {
    for (const session of this.#all()) session.end()
  }

  /** The session was used; `answers` by its target. */
  used(session: Session, answers: boolean): void {
    if (answers && !session.answered) {
      this.#unanswered.remove(session)
      session.answered = true
      this.#answered.add(session)
    } else this.#listOf(session).touch(session)
  }

  /** The session has ended. */
  forget(session: Session): void {
    this.#listOf(session).remove(session)
    const first = this.#sessions.get(session.hash)
    if (first === session) {
      if (session.next === undefined) this.#sessions.delete(session.hash)
      else this.#sessions.set(session.hash, session.next)
    } else {
      let before = first
      while (before !== undefined && before.next !== session) before = before.next
      if (before !== undefined) before.next = session.next
    }
    const others = this.#bySource.get(session.sourceKey)
    others?.delete(session)
    if (others?.size === 0) this.#bySource.delete(session.sourceKey)
    this.balance.leave(session.choice)
    this.count(session.port, ACTIVE, -1)
    this.left()
  }

  portOf(tag: number): number {
    return tag % this.ports
  }

  socketOf(tag: number): number {
    return this.sockets[tag] ?? -1
  }

  /** @returns false when no more has arrived */
  #take(socket: number, tag: number): boolean {
    const { datagrams } = this
    const count = datagrams.receive(socket)
    if (count <= 0) return false
    let bytes = 0
    let session: Session | undefined
    let first = 0
    for (let slot = 0; slot < count; slot++) {
      bytes += datagrams.length(slot)
      if (session?.owns(datagrams, slot, tag)) continue
      if (session !== undefined) this.#forward(session, first, slot)
      session = this.#find(slot, tag) ?? this.#begin(slot, tag)
      first = slot
    }
    if (session !== undefined) this.#forward(session, first, count)
    this.count(this.portOf(tag), DATAGRAMS_IN, count)
    this.count(this.portOf(tag), BYTES_IN, bytes)
    return count === SLOTS
  }

  #forward(session: Session, first: number, end: number): void {
    session.forward(first, end - first)
    this.used(session, false)
  }

  #find(slot: number, tag: number): Session | undefined {
    let session = this.#sessions.get(this.#hash(this.datagrams.names, slot * NAME_WORDS, tag))
    while (session !== undefined && !session.owns(this.datagrams, slot, tag)) session = session.next
    return session
  }

  /** @returns undefined where the client is not served */
  #begin(slot: number, tag: number): Session | undefined {
    const port = this.portOf(tag)
    const { maxConnections, maxSessions, maxSessionsPerSource } = this.options
    if (!this.#admits(slot) || this.activeOn(port) >= maxConnections) {
      this.turnedAway(port)
      return undefined
    }
    const source = this.#bySource.get(sourceKey(this.datagrams.names, slot))
    if (source !== undefined && source.size >= maxSessionsPerSource)
      for (const oldest of source) {
        oldest.end()
        break
      }
    if (this.active >= maxSessions) this.#makeRoom()
    const choice = this.balance.choose(undefined, this.reactor.now)
    const fd = this.#dial(choice, port)
    if (fd < 0) {
      this.balance.failed(choice, this.reactor.now)
      this.count(port, FAILED, 1)
      return undefined
    }
    setReceiveBuffer(fd, BUFFER_BYTES)
    const peer = peerOf(this.datagrams, slot)
    const session = new Session(this, tag, this.#hash(peer.name, 0, tag), peer, choice, fd)
    this.#remember(session)
    session.begin()
    return session
  }

  #dial(choice: number, port: number): number {
    const destination = this.balance.destinations[choice]
    if (destination === undefined) return -1
    const fd = this.dialer.dial(destination, 'udp', port, 0)
    if (fd !== -EMFILE || !this.#makeRoom()) return fd
    return this.dialer.dial(destination, 'udp', port, 0)
  }

  #remember(session: Session): void {
    session.next = this.#sessions.get(session.hash)
    this.#sessions.set(session.hash, session)
    this.#unanswered.add(session)
    const source = this.#bySource.get(session.sourceKey)
    if (source === undefined) this.#bySource.set(session.sourceKey, new Set([session]))
    else source.add(session)
    this.balance.enter(session.choice)
    this.active++
    this.count(session.port, ACTIVE, 1)
    this.count(session.port, ACCEPTED, 1)
  }

  #all(): Session[] {
    return [...this.#bySource.values()].flatMap(sessions => [...sessions])
  }

  #makeRoom(): boolean {
    const leaves = this.#unanswered.oldest ?? this.#answered.oldest
    leaves?.end()
    return leaves !== undefined
  }

  #admits(slot: number): boolean {
    if (!this.access.restricts) return true
    const name = this.datagrams.names.slice(slot * NAME_WORDS, (slot + 1) * NAME_WORDS)
    return this.access.admits(readSockaddr(new Uint8Array(name.buffer)).ip)
  }

  #listOf(session: Session): Recency<Session> {
    return session.answered ? this.#answered : this.#unanswered
  }

  /** Of client, published port and address asked; small enough to be a fast key. */
  #hash(names: Int32Array, at: number, tag: number): number {
    const v6 = ((names[at] ?? 0) & 0xffff) !== 2
    let hash = Math.imul(this.#seed ^ tag, 0x9e3779b1)
    for (let i = 0; i < (v6 ? 7 : 2); i++) hash = mix(hash, names[at + i] ?? 0)
    return (hash ^ (hash >>> 15)) & 0x3fffffff
  }
}

const mix = (hash: number, word: number): number => {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}
