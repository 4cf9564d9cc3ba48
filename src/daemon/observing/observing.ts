/**
 * What the daemon does and knows, for its log and for whoever looks on (observe/).
 *
 *     publisher, ports, reconcile, successors ─▶ Observing ─┬─▶ log
 *                                                           ├─▶ events, while somebody listens
 *     index of attachments, proxy, links ──────────────────▶└─▶ counters, when somebody asks
 */

import { type Endpoint, endpointOf } from '../../libnetwork/libnetwork.ts'
import { parseMetricsAddress } from '../../model/address/metrics-address.ts'
import { describeHostPorts } from '../../model/port-mapping.ts'
import { present } from '../../model/present.ts'
import { calledTarget } from '../../model/publication/publication.ts'
import type { Found } from '../../network/reconcile/reconcile.ts'
import { deniedOf, deniedSince } from '../../observe/denied.ts'
import { Events } from '../../observe/events.ts'
import type { Told as Happened } from '../../observe/happening.ts'
import { Observer, type Sources } from '../../observe/observe.ts'
import { type Seen, seenOf } from '../../observe/seen.ts'
import type { PortProxy } from '../../proxy/proxy.ts'
import type { OnObstacle, OnPassedOn } from '../../publish/attachment-ports.ts'
import { portsOf } from '../../publish/plan.ts'
import { describeReverse } from '../../publish/reverse/reverse.ts'
import type { Tell } from '../../publish/upkeep/tell.ts'
import { EntryIndex } from '../../records/entry-index.ts'
import { type Called, calledOf, type Told, toldOf } from '../names/known.ts'
import type { Metrics } from './metrics.ts'

interface Parts extends Pick<Sources, 'published' | 'held'> {
  proxy: Pick<PortProxy, 'counters'>
  log: (line: string) => void
  /** Tells everyone who listens. */
  tell: (happened: Happened) => void
}

export class Observing {
  /** Of each attachment: what it is called, the names that are told of it, and what whoever looks on is told. */
  readonly index: EntryIndex<{ told?: Told; called: Called; endpoint?: Endpoint; seen: Seen }> =
    new EntryIndex(attachment => ({
      ...present({ told: toldOf(attachment), endpoint: endpointOf(attachment) }),
      called: calledOf(attachment),
      seen: seenOf(attachment),
    }))
  readonly observer: Observer
  readonly events: Events
  readonly #log: (line: string) => void
  #metrics: Metrics | undefined
  #isOver = false

  constructor({ proxy, log, tell, ...sources }: Parts) {
    this.#log = log
    this.observer = new Observer({ ...sources, index: this.index })
    const { observer } = this
    this.events = new Events(
      {
        attached: () => observer.attached(),
        counters: () => proxy.counters(),
        ports: () => observer.ports(),
        denied: deniedOf,
        deniedSince,
      },
      tell,
    )
  }

  /** @param address as settings have it; what serves it is loaded where somebody wants it */
  async beginMetrics(address: string): Promise<void> {
    const parsed = parseMetricsAddress(address)
    if (parsed === undefined) return
    const { serveMetrics } = await import('./metrics.ts')
    if (this.#isOver) return
    this.#metrics = serveMetrics(parsed, () => this.observer.counters(), this.#log)
  }

  endMetrics(): void {
    this.#isOver = true
    this.#metrics?.close()
  }

  readonly publication: Tell = (event, about, more = {}) => {
    const reason = more.why === undefined ? '' : `: ${more.why}`
    const what = about.reverse
      ? describeReverse(about)
      : `${describeHostPorts(portsOf(about))} → ${calledTarget(about)}`
    this.#log(`${event} ${what}${reason}`)
    this.events.publication(event, about, more)
  }

  readonly passedOn: OnPassedOn = (port, to) => this.events.passedOn(port, to)

  readonly reconciled = (found: readonly Found[]): void => this.events.reconciled(found)

  readonly held: OnObstacle = (what, why) => {
    this.#log(why === undefined ? `serving ${what}` : `waiting ${what}: ${why}`)
    this.events.held(what, why)
  }
}
