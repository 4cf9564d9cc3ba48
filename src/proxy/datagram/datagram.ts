/**
 * A published range of UDP ports: finds the session of each datagram, or begins one.
 *
 * Sessions cost a descriptor each, so their number is bounded: on each port, for each client address on a
 * port, and in all. Where there are too many, the one that is idle the most makes room (room.ts). With
 * several workers each keeps its share of what a port may have.
 */

import { constants } from 'node:os'
import { NAME_WORDS, SLOTS } from '../../ffi/reactor/message-layout.ts'
import { readSockaddr } from '../../ffi/sockaddr.ts'
import { setReceiveBuffer } from '../../ffi/socket.ts'
import type { Assignment } from '../assignment.ts'
import { ACCEPTED, ACTIVE, BYTES_IN, DATAGRAMS_IN, DENIED, FAILED } from '../counters.ts'
import type { Destination } from '../destination.ts'
import type { FrozenClient, FrozenHere } from '../frozen.ts'
import { type Plane, Service } from '../worker/service.ts'
import type { Datagrams } from './batch.ts'
import { peerOf, sourceKey, thawedPeer } from './peer.ts'
import { type Room, Rooms } from './room.ts'
import { Session, type SessionHost } from './session.ts'

/** Batches taken in one turn before others get theirs. */
const TURN_BATCHES = 4
/** A burst waits here while others have their turn. */
const BUFFER_BYTES = 1 << 20

const { EMFILE } = constants.errno

export class DatagramService extends Service implements SessionHost {
  readonly datagrams: Datagrams
  readonly #sessions = new Map<number, Session>()
  /** Who shares the descriptors of this worker. */
  readonly #all: Room<Session>
  readonly #ofPort: Rooms<Session>
  readonly #ofSource: Rooms<Session>
  /** Nobody outside can choose clients that meet in one place of the table. */
  readonly #seed = (Math.random() * 2 ** 31) | 0

  constructor(plane: Plane, assignment: Assignment, datagrams: Datagrams, all: Room<Session>) {
    super(plane, assignment)
    this.datagrams = datagrams
    this.#all = all
    const share = (limit: number) => Math.ceil(limit / assignment.counters.length)
    this.#ofPort = new Rooms(share(this.options.maxSessions))
    this.#ofSource = new Rooms(share(this.options.maxSessionsPerSource))
  }

  ready(socket: number, _events: number, tag: number): void {
    for (let batch = 0; batch < TURN_BATCHES; batch++) if (!this.#take(socket, tag)) return
  }

  protected takeLast(): void {}

  override adopt(frozen: FrozenClient): boolean {
    if (frozen.kind !== 'session' || this.sockets[frozen.socket] === undefined) return false
    const peer = thawedPeer(frozen)
    const { socket, choice, target } = frozen
    const hash = this.#hash(peer.name, 0, socket)
    this.#enter(new Session(this, socket, hash, peer, choice, target, frozen), peer.name)
    return true
  }

  protected override freezeClients(): FrozenHere[] {
    return this.#clients().map(session => session.freeze())
  }

  override silence(): void {
    super.silence()
    this.reset()
  }

  override retarget(destinations: Destination[]): void {
    const before = this.balance
    super.retarget(destinations)
    for (const session of this.#clients()) {
      const choice = before.indexIn(this.balance, session.choice)
      if (choice >= 0) session.choice = choice
      else {
        // The old target would be kept for as long as the client goes on.
        session.choice = -1
        session.end()
      }
    }
  }

  override reset(): void {
    for (const session of this.#clients()) session.end()
  }

  forget(session: Session): void {
    const first = this.#sessions.get(session.hash)
    if (first === session) {
      if (session.next === undefined) this.#sessions.delete(session.hash)
      else this.#sessions.set(session.hash, session.next)
    } else {
      let before = first
      while (before !== undefined && before.next !== session) before = before.next
      if (before !== undefined) before.next = session.next
    }
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
      if (session !== undefined) session.forward(first, slot - first)
      session = this.#find(slot, tag) ?? this.#begin(slot, tag)
      first = slot
    }
    if (session !== undefined) session.forward(first, count - first)
    this.count(this.portOf(tag), DATAGRAMS_IN, count)
    this.count(this.portOf(tag), BYTES_IN, bytes)
    return count === SLOTS
  }

  #find(slot: number, tag: number): Session | undefined {
    let session = this.#sessions.get(this.#hash(this.datagrams.names, slot * NAME_WORDS, tag))
    while (session !== undefined && !session.owns(this.datagrams, slot, tag)) session = session.next
    return session
  }

  /** @returns undefined where the client is not served */
  #begin(slot: number, tag: number): Session | undefined {
    const port = this.portOf(tag)
    const isDenied = !this.#admits(slot)
    if (isDenied) this.count(port, DENIED, 1)
    if (isDenied || this.activeOn(port) >= this.options.maxConnections) {
      this.turnedAway(port)
      return undefined
    }
    this.#makeRoom(port, slot)
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
    this.count(port, ACCEPTED, 1)
    this.#enter(session, peer.name)
    return session
  }

  #dial(choice: number, port: number): number {
    const destination = this.balance.destinations[choice]
    if (destination === undefined) return -1
    const fd = this.dialer.dial(destination, 'udp', port, 0)
    const leaver = fd === -EMFILE ? this.#all.leaver(this.reactor.now) : undefined
    if (leaver === undefined) return fd
    leaver.evict()
    return this.dialer.dial(destination, 'udp', port, 0)
  }

  /** @param name struct sockaddr of its client */
  #enter(session: Session, name: Int32Array): void {
    session.next = this.#sessions.get(session.hash)
    this.#sessions.set(session.hash, session)
    this.balance.enter(session.choice)
    const { port } = session
    this.active++
    this.count(port, ACTIVE, 1)
    session.begin([this.#ofSource.open(keyOf(port, name, 0)), this.#ofPort.open(String(port)), this.#all])
  }

  /** For the one whose datagram is in a slot. */
  #makeRoom(port: number, slot: number): void {
    const { now } = this.reactor
    const ofSource = this.#ofSource.find(keyOf(port, this.datagrams.names, slot))
    if (ofSource?.isFull) ofSource.leaver(now)?.evict()
    const ofPort = this.#ofPort.find(String(port))
    if (ofPort?.isFull) ofPort.leaver(now)?.evict()
    if (this.#all.isFull) this.#all.leaver(now)?.evict()
  }

  #clients(): Session[] {
    const sessions: Session[] = []
    for (const first of this.#sessions.values())
      for (let each: Session | undefined = first; each !== undefined; each = each.next) sessions.push(each)
    return sessions
  }

  #admits(slot: number): boolean {
    if (!this.access.restricts) return true
    const name = this.datagrams.names.slice(slot * NAME_WORDS, (slot + 1) * NAME_WORDS)
    return this.access.admits(readSockaddr(new Uint8Array(name.buffer)).ip)
  }

  /** Of client, published port and address asked; small enough to be a fast key. */
  #hash(names: Int32Array, at: number, tag: number): number {
    const v6 = ((names[at] ?? 0) & 0xffff) !== 2
    let hash = Math.imul(this.#seed ^ tag, 0x9e3779b1)
    for (let i = 0; i < (v6 ? 7 : 2); i++) hash = mix(hash, names[at + i] ?? 0)
    return (hash ^ (hash >>> 15)) & 0x3fffffff
  }
}

const keyOf = (port: number, names: Int32Array, slot: number): string => `${port} ${sourceKey(names, slot)}`

const mix = (hash: number, word: number): number => {
  const mixed = Math.imul(hash ^ word, 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}
