/**
 * Sessions that share a limit: all of a worker, those of a port, those of a client address on a port. Each
 * session has a place in one of each kind; where one is full, the session there that is idle the most ends.
 *
 * How idle a session is, is the time since its last datagram, either way. One whose target never answered
 * goes first, so that a flood of forged addresses pushes out itself and not those who talk. But it has its
 * time, too: who has asked just now, and waits, or only ever sends, does not have to go before somebody who
 * said nothing for a minute. So an answered session counts as active for half a minute, and from then on an
 * unanswered one ages so many times as fast.
 */

import { Recency } from './recency.ts'

/** An answered session without a datagram for less is active: signs of life come every 25 s, say WireGuard's. */
const ACTIVE_MS = 30_000
/** So many times as fast an unanswered session ages. */
const UNANSWERED_AGES = 8

/** Somebody who can be in rooms. */
export interface Guest {
  /** On the reactor's clock, in ms. */
  readonly activeAt: number
  readonly answered: boolean
}

/** A guest's place in one room. */
export class Place<Member extends Guest> {
  older: Place<Member> | undefined
  newer: Place<Member> | undefined
  readonly room: Room<Member>
  readonly guest: Member

  constructor(room: Room<Member>, guest: Member) {
    this.room = room
    this.guest = guest
  }
}

export class Room<Member extends Guest> {
  readonly capacity: number
  #size = 0
  readonly #answered = new Recency<Place<Member>>()
  readonly #unanswered = new Recency<Place<Member>>()

  readonly #onEmpty: () => void

  constructor(capacity: number, onEmpty: () => void = () => {}) {
    this.capacity = capacity
    this.#onEmpty = onEmpty
  }

  get isFull(): boolean {
    return this.#size >= this.capacity
  }

  /** Takes in somebody who was used no longer ago than anybody here. */
  enter(guest: Member): Place<Member> {
    const place = new Place(this, guest)
    this.#listOf(guest).add(place)
    this.#size++
    return place
  }

  leave(place: Place<Member>): void {
    this.#listOf(place.guest).remove(place)
    this.#size--
    if (this.#size === 0) this.#onEmpty()
  }

  /** The guest was used just now. */
  touch(place: Place<Member>): void {
    this.#listOf(place.guest).touch(place)
  }

  /** The guest is about to be known as answered. */
  promote(place: Place<Member>): void {
    this.#unanswered.remove(place)
    this.#answered.add(place)
  }

  /** Who has to go for another; undefined where nobody is here. */
  leaver(now: number): Member | undefined {
    const answered = this.#answered.oldest?.guest
    const unanswered = this.#unanswered.oldest?.guest
    if (answered === undefined || unanswered === undefined) return unanswered ?? answered
    const age = (now - unanswered.activeAt) * UNANSWERED_AGES
    return age >= now - answered.activeAt - ACTIVE_MS ? unanswered : answered
  }

  #listOf({ answered }: Guest): Recency<Place<Member>> {
    return answered ? this.#answered : this.#unanswered
  }
}

/** Rooms of one kind: each is there while somebody is in it. */
export class Rooms<Member extends Guest> {
  readonly #capacity: number
  readonly #rooms = new Map<string, Room<Member>>()

  /** @param capacity of each */
  constructor(capacity: number) {
    this.#capacity = capacity
  }

  /** Undefined where nobody is in it. */
  find(key: string): Room<Member> | undefined {
    return this.#rooms.get(key)
  }

  /** To be entered at once. */
  open(key: string): Room<Member> {
    const found = this.#rooms.get(key)
    if (found !== undefined) return found
    const room = new Room<Member>(this.#capacity, () => void this.#rooms.delete(key))
    this.#rooms.set(key, room)
    return room
  }
}
