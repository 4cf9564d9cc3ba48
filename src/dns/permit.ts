/**
 * Addresses of names that a container may reach, said to whoever lets it: before it is told them itself.
 *
 *     question ─▶ other server ─▶ Permits.before ──Permit──▶ the maker of the thread ─▶ the kernel
 *     answer   ◀──────────────────────┘  ◀───── permitted ──────┘
 *
 * What counts is the name that was asked: whoever answers for it leads on from there (CNAME) to whatever addresses there
 * are. Where nobody lets it, the answer is that nobody could say, so it is asked for again.
 */

import { type Ip, ipFromBytes } from '../model/address/address.ts'
import type { Asker } from './answer.ts'
import type { Said } from './forward.ts'
import type { Query } from './query.ts'
import { type } from './walk.ts'
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
  permit: Permit
}

/** What a report is answered by. */
export interface PermitOrder {
  kind: 'permitted'
  number: number
  /** Absent: it is not let. Else no time to live may be longer. */
  ttlMaxS?: number
}

export class Permits {
  readonly #zone: Pick<Zone, 'isPermitted'>
  readonly #report: (report: PermitReport) => void
  readonly #waiting = new Map<number, (ttlMaxS: number | undefined) => void>()
  #last = 0

  constructor(zone: Pick<Zone, 'isPermitted'>, report: (report: PermitReport) => void) {
    this.#zone = zone
    this.#report = report
  }

  /** @returns the answer as the client may have it now; undefined: not at all */
  before(asker: Asker, { question }: Query, said: Said): Said | Promise<Said | undefined> {
    const { name } = question
    if (name === undefined || !this.#zone.isPermitted(asker, name)) return said
    const answers = said.message.records.filter(({ section }) => section === 'answer')
    const addresses = answers
      .filter(({ type: kind }) => kind === type.A || kind === type.AAAA)
      .map(({ data, end }) => ipFromBytes(said.bytes.slice(data, end)))
    if (addresses.length === 0) return said
    const ttlS = Math.max(...answers.map(({ ttl }) => ttl))
    const { network, ip } = asker
    const number = ++this.#last
    return new Promise(resolve => {
      this.#waiting.set(number, ttlMaxS =>
        resolve(ttlMaxS === undefined ? undefined : withTtl(said, ttlMaxS)),
      )
      this.#report({ kind: 'permit', number, permit: { network, ip, name, addresses, ttlS } })
    })
  }

  /** What was reported has been seen to. */
  take({ number, ttlMaxS }: PermitOrder): void {
    this.#waiting.get(number)?.(ttlMaxS)
    this.#waiting.delete(number)
  }
}

/** From the data back to the time to live: its length, and the time itself. */
const TTL_BEFORE_DATA = 6

/** Nothing of it lasts longer. */
function withTtl({ bytes, message }: Said, mostS: number): Said {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (const { type: kind, ttl, data } of message.records)
    if (kind !== type.OPT && ttl > mostS) view.setUint32(data - TTL_BEFORE_DATA, mostS)
  return { bytes, message }
}
