/**
 * Notices what happens, as long as somebody listens.
 *
 *     publisher, ports, reconcile ─ say it ────────┐
 *     records ─ compared with what was there ──────┼─▶ tell
 *     counters of the proxy, and of lists ─────────┘
 *
 * Who is attached say the records, whoever wrote them: a call that was done without the daemon is seen at the next look,
 * and one that came and went between two looks is not. Nothing is looked at while nobody listens.
 */

import type { Container, Publication, PublicationEvent } from '../model/publication/publication.ts'
import type { Found } from '../network/reconcile/reconcile.ts'
import type { Counters } from '../proxy/proxy.ts'
import type { HeldPort } from '../publish/attachment-ports.ts'
import type { PortCounts } from './counters.ts'
import {
  ofAttachment,
  ofCount,
  ofDenied,
  ofFound,
  ofHandOver,
  ofHeld,
  ofList,
  ofPassedOn,
  ofPublication,
  type Told,
} from './happening.ts'
import type { Seen } from './seen.ts'

/** Of one container; what is denied meanwhile is told together. */
const DENIED_EVERY_MS = 10_000
/** A packet may have been dropped since the look before. */
const LOOK_MS = 2_000

/** After a call that was done here, others may follow. */
const SOON_MS = 20

export interface EventSources {
  /** The same list as long as nothing has changed. */
  attached: () => readonly Seen[]
  /** By id. */
  counters: () => ReadonlyMap<string, Counters>
  ports: () => readonly PortCounts[]
  /** Packets that lists have dropped, by owner. */
  denied: (attached: readonly Seen[]) => ReadonlyMap<string, number>
  /** Entries that would allow what was denied so lately. */
  deniedSince: (owner: string, ms: number) => readonly string[]
}

interface Counted {
  denied: number
  refused: number
  evicted: number
}

export class Events {
  readonly #sources: EventSources
  readonly #tell: (told: Told) => void
  #isHeard = false
  #seenList: readonly Seen[] = []
  #seen = new Map<string, Seen>()
  #counted = new Map<string, Counted>()
  /** By owner, what was told of a container's list; without a time it was there before. */
  #denied = new Map<string, { packets: number; at?: number }>()
  #timer: NodeJS.Timeout | undefined

  constructor(sources: EventSources, tell: (told: Told) => void) {
    this.#sources = sources
    this.#tell = tell
  }

  /** Somebody listens, or nobody does any more. */
  heard(isHeard: boolean): void {
    if (isHeard === this.#isHeard) return
    this.#isHeard = isHeard
    // What there is at the beginning is no news.
    this.#seenList = isHeard ? this.#sources.attached() : []
    this.#seen = byOwner(this.#seenList)
    this.#counted = isHeard ? this.#countNow() : new Map()
    this.#denied = new Map(
      [...this.#sources.denied(this.#seenList)].map(([owner, packets]) => [owner, { packets }]),
    )
  }

  /** Looks at what changed. To be called every second or so. */
  async look(): Promise<void> {
    if (!this.#isHeard) return
    this.#lookAtAttached()
    this.#lookAtCounters()
    this.#lookAtDenied()
  }

  /** Something was done here that may have changed who is attached. */
  soon(): void {
    if (!this.#isHeard || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#isHeard) this.#lookAtAttached()
    }, SOON_MS).unref()
  }

  publication(
    event: PublicationEvent,
    about: Publication,
    more: { why?: string | undefined; from?: readonly Container[] } = {},
  ): void {
    if (this.#isHeard) this.#tell(ofPublication(event, about, more))
  }

  /** A port of somebody else than `tsnet publish`; `undefined`: nothing is in its way any more. */
  held(port: string, why: string | undefined): void {
    if (this.#isHeard) this.#tell(ofHeld(port, why))
  }

  /** Another attachment has a port now. */
  passedOn(port: NonNullable<HeldPort['of']>, to: string): void {
    if (!this.#isHeard) return
    const heir = this.#seen.get(to) ?? { owner: to }
    this.#tell(ofPassedOn(port, this.#seen.get(port.owner), heir))
  }

  /** What was lacking, all of it of one pass. */
  reconciled(found: readonly Found[]): void {
    if (!this.#isHeard) return
    for (const outcome of ['restored', 'kept'] as const) {
      const of = found.filter(each => each.outcome === outcome)
      for (const subject of new Set(of.map(each => each.subject)))
        this.#tell(
          ofFound(
            subject,
            of.filter(each => each.subject === subject),
          ),
        )
    }
  }

  handedOver(pid: number): void {
    if (this.#isHeard) this.#tell(ofHandOver(pid))
  }

  #lookAtAttached(): void {
    const list = this.#sources.attached()
    if (list === this.#seenList) return
    const [before, now] = [this.#seen, byOwner(list)]
    this.#seenList = list
    this.#seen = now
    const isSame = (seen: Seen) => before.get(seen.owner)?.createdAt === now.get(seen.owner)?.createdAt
    for (const seen of before.values()) if (!isSame(seen)) this.#tell(ofAttachment('detach', seen))
    for (const seen of now.values()) {
      if (!isSame(seen)) this.#tell(ofAttachment('attach', seen))
      else if (before.get(seen.owner)?.list?.digest !== seen.list?.digest) this.#tell(ofList(seen))
    }
  }

  #lookAtCounters(): void {
    const before = this.#counted
    this.#counted = this.#countNow()
    const grown = [...this.#counted].flatMap(([id, now]) => {
      const { denied, refused, evicted } = before.get(id) ?? { denied: 0, refused: 0, evicted: 0 }
      const more = {
        denied: now.denied - denied,
        refused: now.refused - refused - (now.denied - denied),
        evicted: now.evicted - evicted,
      }
      // One that ended and was published again counts from the beginning.
      const isMore = Object.values(more).some(number => number > 0)
      return isMore ? [{ id, ...more }] : []
    })
    if (grown.length === 0) return
    const ports = new Map(this.#sources.ports().map(port => [port.id, port]))
    for (const { id, denied, refused, evicted } of grown) {
      const port = ports.get(id)
      if (port === undefined) continue
      if (denied > 0) this.#tell(ofCount('refused', port, denied, 'source not allowed'))
      if (refused > 0) this.#tell(ofCount('refused', port, refused, 'limit reached'))
      if (evicted > 0) this.#tell(ofCount('evicted', port, evicted))
    }
  }

  #lookAtDenied(): void {
    const now = performance.now()
    const before = this.#denied
    this.#denied = new Map()
    for (const [owner, packets] of this.#sources.denied(this.#seenList)) {
      const told = before.get(owner) ?? { packets: 0 }
      const since = now - (told.at ?? Number.NEGATIVE_INFINITY)
      // A list that was made anew counts from the beginning.
      const more = packets - (packets < told.packets ? 0 : told.packets)
      const seen = this.#seen.get(owner)
      if (more === 0 || since < DENIED_EVERY_MS || seen === undefined) {
        this.#denied.set(owner, told)
        continue
      }
      this.#denied.set(owner, { packets, at: now })
      const lately = told.at === undefined ? LOOK_MS : since + LOOK_MS
      this.#tell(ofDenied(seen, more, this.#sources.deniedSince(owner, lately)))
    }
  }

  #countNow(): Map<string, Counted> {
    const counted = new Map<string, Counted>()
    for (const [id, { denied, refused, evicted }] of this.#sources.counters())
      counted.set(id, { denied, refused, evicted })
    return counted
  }
}

const byOwner = (list: readonly Seen[]): Map<string, Seen> => new Map(list.map(seen => [seen.owner, seen]))
