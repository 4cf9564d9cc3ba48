/**
 * Who the hosts of a network are, out of what stands in etcd; and what changes about that.
 *
 *     word, claim ── say the same, alone at its addresses ──▶ stands     a member
 *                 └─ otherwise ─────────────────────────────▶ odd        said, and no member
 *     forgotten by etcd, whose data is lost ────────────────▶ kept       a member for a while, if nobody is in its place
 *
 * Of a thousand hosts only those are looked at of which something has changed, and those who were odd, since somebody may
 * have left their place.
 */

import { type HostPool, roomOf } from '../model/hosts/hosts.ts'
import type { HostWord, View } from './keys.ts'

/** A host of the network. */
export interface Member extends Pick<HostWord, 'name' | 'addresses' | 'mac' | 'number'> {
  id: string
}

/** One that has changed has gone as it was, and come as it is. */
export interface MembersChange {
  go: Member[]
  come: Member[]
}

/** The same one as long as its word is. */
const known = new WeakMap<HostWord, Member>()

function memberOf(id: string, word: HostWord): Member {
  const { name, addresses, mac, number } = word
  const member = known.get(word) ?? { id, name, addresses, mac, number }
  known.set(word, member)
  return member
}

export class Members {
  readonly #pools: readonly HostPool[]
  readonly #standing = new Map<string, Member>()
  /** Why a host of which there is a word is no member. */
  readonly #odd = new Map<string, string>()
  /** Who is at an address of the underlay, and who has a link address. */
  readonly #places = new Map<string, string>()
  /** Until when (milliseconds) one is kept; absent: until all is read. */
  readonly #kept = new Map<string, { member: Member; until: number | undefined }>()

  constructor(pools: readonly HostPool[]) {
    this.#pools = pools
  }

  /** This host among them, where there is a word of it. */
  get all(): Member[] {
    const kept = [...this.#kept].filter(([id]) => !this.#standing.has(id))
    return [...this.#standing.values(), ...kept.map(([, { member }]) => member)]
  }

  /** Sentences. */
  get odd(): string[] {
    return [...this.#odd.values()]
  }

  /** What etcd does not tell stays until then, unless somebody is in its place; absent: until all is read. */
  keep(members: readonly Member[], until?: number): void {
    for (const member of members) this.#kept.set(member.id, { member, until })
  }

  /** Looks at all of them anew; who stood before goes first. @param now milliseconds */
  read(view: View, now: number): MembersChange {
    return this.#look(view, [...this.#standing.keys(), ...view.hosts.keys()], now, true)
  }

  /** Looks at those of which something has changed. */
  look(view: View, ids: Iterable<string>, now: number): MembersChange {
    return this.#look(view, ids, now, false)
  }

  #look(view: View, ids: Iterable<string>, now: number, isAllRead: boolean): MembersChange {
    const changed = new Set([...ids, ...this.#odd.keys()])
    const before = new Map([...changed, ...this.#kept.keys()].map(id => [id, this.#of(id)]))
    for (const id of changed) this.#leave(id)
    for (const id of changed) this.#judge(view, id)
    this.#release(view, now, isAllRead)
    const change: MembersChange = { go: [], come: [] }
    for (const [id, member] of before) {
      const next = this.#of(id)
      if (next === member) continue
      if (member !== undefined) change.go.push(member)
      if (next !== undefined) change.come.push(next)
    }
    return change
  }

  #of(id: string): Member | undefined {
    return this.#standing.get(id) ?? this.#kept.get(id)?.member
  }

  #leave(id: string): void {
    const member = this.#standing.get(id)
    this.#odd.delete(id)
    this.#standing.delete(id)
    for (const place of member === undefined ? [] : placesOf(member)) this.#places.delete(place)
  }

  #judge({ claims, hosts }: View, id: string): void {
    const word = hosts.get(id)?.value
    if (word === undefined) return
    const { name, number } = word
    const taken = placesOf(word).find(place => this.#places.has(place))
    if (number >= roomOf(this.#pools))
      this.#odd.set(id, `host ${id} (${name}) speaks of prefix ${number}, which is not in the network`)
    else if (claims.get(number)?.value !== id)
      this.#odd.set(id, `host ${id} (${name}) speaks of prefix ${number}, which is not its own`)
    else if (taken !== undefined)
      this.#odd.set(id, `hosts ${this.#places.get(taken)} and ${id} (${name}) are both at ${taken}`)
    else {
      for (const place of placesOf(word)) this.#places.set(place, id)
      this.#standing.set(id, memberOf(id, word))
    }
  }

  /** Those whose time is over, of whom etcd knows again, or in whose place somebody is. */
  #release({ claims, hosts }: View, now: number, isAllRead: boolean): void {
    for (const [id, { member, until }] of this.#kept) {
      const isOver = until === undefined ? isAllRead : until <= now
      const isReplaced = claims.has(member.number) || placesOf(member).some(place => this.#places.has(place))
      if (isOver || hosts.has(id) || isReplaced) this.#kept.delete(id)
    }
  }
}

/** Where nobody else may be. */
const placesOf = ({ addresses, mac }: Pick<HostWord, 'addresses' | 'mac'>): string[] => [...addresses, mac]
