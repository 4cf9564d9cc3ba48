/**
 * Addresses of names that a container may reach, said to whoever lets it: before it is told them itself.
 *
 *     question ─▶ other server ─▶ Permits.before ──Permit──▶ the maker of the thread ─▶ the kernel
 *     answer   ◀──────────────────────┘  ◀───── permitted ──────┘
 *
 * What counts is the name that was asked: whoever answers for it leads on from there (CNAME) to whatever addresses there
 * are. Where nobody lets it, the answer is that nobody could say, so it is asked for again.
 *
 * One message is on its way at a time, there and back, and what comes meanwhile goes together in the next: who lets
 * many at once takes little longer than for one, and a message costs as much as a question. What was let through is not
 * said again for a second: whoever lets it has it last so much longer than it may be remembered. So a name that is
 * asked for all the time costs nothing more; should others flush a list meanwhile, it is in the new one a second later.
 */

import { type Ip, ipFromBytes } from '../model/address/address.ts'
import type { Asker } from './answer.ts'
import type { Said } from './forward.ts'
import type { Query } from './query.ts'
import { type Message, type } from './walk.ts'
import type { Client, Zone } from './zone.ts'

/** What a client is about to be told. */
export interface Permit extends Client {
  /** Lower case, without the last dot. */
  name: string
  addresses: Ip[]
  /** The longest of what was answered. */
  ttlS: number
}

export interface PermitReport {
  kind: 'permit'
  number: number
  /** Permit[] as JSON: to copy as many objects from thread to thread takes three times as long. */
  permits: string
}

/** What a report is answered by. */
export interface PermitOrder {
  kind: 'permitted'
  number: number
  /** Of each in its order, that no time to live may be longer; undefined: it is not let. */
  ttlsMaxS: (number | undefined)[]
}

type Answer = (fresh: Fresh | undefined) => void

/** What was let through, and for how long it is not said again: one for all of a message. */
interface Fresh {
  until: number
  ttlMaxS: number
}

const FRESH_MS = 1_000
const FRESH_MOST = 4_096
/** An answer with more addresses is not remembered: whoever answers for a name does not choose how much is. */
export const FRESH_ADDRESSES = 64
/** What nothing more is waited for to go with. */
const ENOUGH = 32

export class Permits {
  readonly #zone: Pick<Zone, 'isPermitted'>
  readonly #report: (report: PermitReport) => void
  readonly #later: (work: () => void) => void
  readonly #fresh = new Map<string, Fresh>()
  /** Of the message that is on its way. */
  #waiting: Answer[] | undefined
  /** Of the next one. */
  #permits: Permit[] = []
  #answers: Answer[] = []
  #last = 0

  /** @param later does something once more may have come that goes with it */
  constructor(
    zone: Pick<Zone, 'isPermitted'>,
    report: (report: PermitReport) => void,
    later: (work: () => void) => void = queueMicrotask,
  ) {
    this.#zone = zone
    this.#report = report
    this.#later = later
  }

  /** @returns the answer as the client may have it now; undefined: not at all */
  before(asker: Asker, { question }: Query, said: Said): Said | Promise<Said | undefined> {
    const { name } = question
    if (name === undefined || !this.#zone.isPermitted(asker, name)) return said
    const addresses = addressesIn(said)
    if (addresses.length === 0) return said
    const ttlS = answersIn(said).reduce((most, { ttl }) => Math.max(most, ttl), 0)
    const { network, ip } = asker
    const key = `${ip} ${network} ${name} ${ttlS} ${addresses.join(' ')}`
    const fresh = this.#fresh.get(key)
    if (fresh !== undefined && fresh.until > performance.now()) return withTtl(said, fresh.ttlMaxS)
    return new Promise(resolve => {
      this.#ask({ network, ip, name, addresses, ttlS }, fresh => {
        if (fresh === undefined) this.#fresh.delete(key)
        else if (addresses.length <= FRESH_ADDRESSES) this.#keep(key, fresh)
        resolve(fresh && withTtl(said, fresh.ttlMaxS))
      })
    })
  }

  #ask(permit: Permit, answer: Answer): void {
    this.#permits.push(permit)
    this.#answers.push(answer)
    if (this.#waiting !== undefined) return
    if (this.#permits.length === 1 || this.#permits.length === ENOUGH) this.#sendSoon()
  }

  #sendSoon(): void {
    if (this.#permits.length >= ENOUGH) this.#send()
    else this.#later(() => this.#send())
  }

  #send(): void {
    if (this.#waiting !== undefined || this.#permits.length === 0) return
    this.#waiting = this.#answers
    this.#report({ kind: 'permit', number: ++this.#last, permits: JSON.stringify(this.#permits) })
    this.#permits = []
    this.#answers = []
  }

  #keep(key: string, fresh: Fresh): void {
    if (this.#fresh.size >= FRESH_MOST) this.#fresh.clear()
    this.#fresh.set(key, fresh)
  }

  /** Who is there has changed: a client may be another by now. */
  forget(): void {
    this.#fresh.clear()
  }

  /** What was reported has been seen to. */
  take({ number, ttlsMaxS }: PermitOrder): void {
    const answers = this.#waiting
    if (number !== this.#last || answers === undefined) return
    this.#waiting = undefined
    // Before the answers go: who lets them works meanwhile.
    if (this.#permits.length > 0) this.#sendSoon()
    const until = performance.now() + FRESH_MS
    let fresh: Fresh | undefined
    for (const [i, answer] of answers.entries()) {
      const ttlMaxS = ttlsMaxS[i]
      if (ttlMaxS !== undefined && fresh?.ttlMaxS !== ttlMaxS) fresh = { until, ttlMaxS }
      answer(ttlMaxS === undefined ? undefined : fresh)
    }
  }
}

const answersIn = ({ message }: Said): Message['records'] =>
  message.records.filter(({ section }) => section === 'answer')

/** Whom an answer leads to, of either family. */
export const addressesIn = (said: Said): Ip[] =>
  answersIn(said)
    .filter(({ type: kind }) => kind === type.A || kind === type.AAAA)
    .map(({ data, end }) => ipFromBytes(said.bytes.slice(data, end)))

/** From the data back to the time to live: its length, and the time itself. */
const TTL_BEFORE_DATA = 6

/** Nothing of it lasts longer. */
function withTtl({ bytes, message }: Said, mostS: number): Said {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (const { type: kind, ttl, data } of message.records)
    if (kind !== type.OPT && ttl > mostS) view.setUint32(data - TTL_BEFORE_DATA, mostS)
  return { bytes, message }
}
