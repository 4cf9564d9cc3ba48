/**
 * Who the other hosts were when something was last heard of them, and what they said of their containers, as files: so a host
 * that boots while etcd is away leads to them, and finds them by name.
 *
 *     /var/lib/tsnet/hosts/members/front.json
 *     /var/lib/tsnet/hosts/names/front.json
 *
 * It counts as long as this host's own prefix does (kept.ts): until then nobody else can have theirs either, if they were
 * there. Whatever etcd says once it is there counts instead.
 */

import { type Ip, isIp } from '../model/address/address.ts'
import { listOf, number, record, text, when, within } from '../model/json/shape.ts'
import { readState, writeState } from '../records/state-files.ts'
import type { Mark } from './following.ts'
import { isHostId, isMac } from './keys.ts'
import type { Member } from './members.ts'

export interface Known extends Mark {
  /** Where this host was for the others. */
  address: Ip
  members: Member[]
}

const fileOf = (network: string): string => `lasting/hosts/members/${network}.json`

const shape = record({
  cluster: text,
  revision: number,
  address: when(isIp, 'an address'),
  members: listOf(
    record({
      id: when(value => isHostId(String(value)), 'the id of a host'),
      name: text,
      addresses: listOf(when(isIp, 'an address')),
      mac: when(isMac, 'a link address of one interface'),
      number: within(0, 65_535),
    }),
  ),
})

export const readKnown = (network: string): Known | undefined => readState<Known>(fileOf(network), shape)

/** @param known undefined: nobody is known any more */
export const writeKnown = (network: string, known: Known | undefined): void =>
  writeState(fileOf(network), known)

/** A key below those of the network's names, and what it says (names/words.ts). */
export interface KnownName {
  key: string
  value: string
}

const namesFileOf = (network: string): string => `lasting/hosts/names/${network}.json`
const namesShape = record({ names: listOf(record({ key: text, value: text })) })

export const readKnownNames = (network: string): KnownName[] =>
  readState<{ names: KnownName[] }>(namesFileOf(network), namesShape)?.names ?? []

/** @param names undefined: nobody is known any more */
export const writeKnownNames = (network: string, names: KnownName[] | undefined): void =>
  writeState(namesFileOf(network), names && { names })

/** So long after a change was written the next one waits: with a thousand hosts that change it is 200 kB. */
const BETWEEN_MS = 30_000
/** Of the time, writing takes so little. */
const SHARE = 0.01

/** Writes something down as it changes. */
export class KnownFile<T> {
  readonly #write: (known: T) => void
  #isChanged = false
  #dueAt = Number.NEGATIVE_INFINITY

  constructor(write: (known: T) => void) {
    this.#write = write
  }

  changed(): void {
    this.#isChanged = true
  }

  /** @param isLast nobody is there later who would write it */
  write(known: () => T, isLast = false): void {
    const now = performance.now()
    if (!this.#isChanged || (!isLast && now < this.#dueAt)) return
    this.#isChanged = false
    this.#write(known())
    this.#dueAt = now + Math.max(BETWEEN_MS, (performance.now() - now) / SHARE)
  }
}
