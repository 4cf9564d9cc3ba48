/**
 * What clients are told that somebody watches: reported as it is told, and nobody waits for that.
 *
 *     answer ──▶ Watched.note ──▶ the client           as it would have it without
 *                     └──────▶ the maker of the thread, once a turn
 *
 * What is told again within a second is not reported again, so that a client that asks all the time keeps nobody busy.
 */

import type { Ip } from '../model/address/address.ts'
import type { Asker } from './answer.ts'
import type { Said } from './forward.ts'
import { addressesIn, FRESH_ADDRESSES } from './permit.ts'
import type { Query } from './query.ts'
import type { Client, Zone } from './zone.ts'

/** What a client was told. */
export interface Telling extends Client {
  /** What it asked for: lower case, without the last dot. */
  name: string
  addresses: Ip[]
}

export interface WatchedReport {
  kind: 'watched'
  tellings: Telling[]
}

const FRESH_MS = 1_000
const FRESH_MOST = 4_096

export class Watched {
  readonly #zone: Pick<Zone, 'isWatched'>
  readonly #report: (report: WatchedReport) => void
  /** When each may be reported again. */
  readonly #fresh = new Map<string, number>()
  /** Of this turn. */
  #tellings: Telling[] = []

  constructor(zone: Pick<Zone, 'isWatched'>, report: (report: WatchedReport) => void) {
    this.#zone = zone
    this.#report = report
  }

  note(asker: Asker, { question: { name } }: Query, said: Said): void {
    if (name === undefined || !this.#zone.isWatched(asker)) return
    const addresses = addressesIn(said)
    if (addresses.length === 0) return
    const { network, ip } = asker
    const key = `${ip} ${network} ${name} ${addresses.join(' ')}`
    const now = performance.now()
    if ((this.#fresh.get(key) ?? 0) > now) return
    if (this.#fresh.size >= FRESH_MOST) this.#fresh.clear()
    if (addresses.length <= FRESH_ADDRESSES) this.#fresh.set(key, now + FRESH_MS)
    if (this.#tellings.length === 0) queueMicrotask(() => this.#send())
    this.#tellings.push({ network, ip, name, addresses })
  }

  #send(): void {
    this.#report({ kind: 'watched', tellings: this.#tellings })
    this.#tellings = []
  }

  /** Who is watched has changed: a new watcher hears of all. */
  forget(): void {
    this.#fresh.clear()
  }
}
