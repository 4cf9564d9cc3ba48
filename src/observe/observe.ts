/**
 * What goes on, for whoever looks on: how much went through ports and to containers, and what happens.
 *
 *     proxy's counters ─┐
 *     links' statistics ┼─▶ Observer ─▶ counters   plain values (counters.ts)
 *     lists that drop   ┤
 *     records ──────────┘
 *     what the daemon does ─▶ Events ─▶ events     plain values (happening.ts), while somebody listens
 *
 * Nothing is counted for this: the proxy counts where it works, and the kernel counts what each link receives and sends
 * in any case. So nobody is slower for being looked at, and what is asked for costs whoever asks.
 *
 * What rules lead to a container passes no proxy, and no port's counter has it; the container's own has.
 */

import { processorMs } from '../model/duration.ts'
import { present } from '../model/present.ts'
import type { HeldPort } from '../publish/attachment-ports.ts'
import type { Served } from '../publish/publish.ts'
import type { EntryIndex } from '../records/entry-index.ts'
import { Changes, type Look } from './changes.ts'
import { type ContainerCounts, containerCounts, type PortCounts, portCounts } from './counters.ts'
import { deniedOf } from './denied.ts'
import { LinkCounters } from './links.ts'
import type { Seen } from './seen.ts'

export type { Look } from './changes.ts'
export type { ContainerCounts, Counts, PortCounts, Traffic } from './counters.ts'

/** All that is counted at one moment. Numbers only grow, but for `active`, until what they are of begins anew. */
export interface CountersReport extends Look {
  /** False: what has not changed since the caller's last look is left out. */
  isWhole: boolean
  ports: PortCounts[]
  containers: ContainerCounts[]
  /** Why nothing is told of containers. */
  obstacle?: string
  /** How long it took the daemon, of processor time. */
  tookMs: number
}

/** Whom the observer asks. */
export interface Sources {
  /** What `tsnet publish` published. */
  published: () => readonly Served[]
  /** What is held for attachments and for dockerd. */
  held: () => readonly HeldPort[]
  index: Pick<EntryIndex<{ seen: Seen }>, 'others'>
}

export class Observer {
  readonly #sources: Sources
  readonly #links = new LinkCounters()
  readonly #changes = new Changes()
  #at = 0
  #seenOf: readonly unknown[] | undefined
  #seen: readonly Seen[] = []

  constructor(sources: Sources) {
    this.#sources = sources
  }

  /** @param since of the caller's last look: what has not changed since is left out */
  counters(since?: Look): CountersReport {
    const [began, before] = [performance.now(), process.cpuUsage()]
    // No two looks are at the same time, whatever the clock does.
    const at = Math.max(Date.now(), this.#at + 1)
    this.#at = at
    const seen = this.attached()
    const { traffic, obstacle } = this.#links.read(seen)
    const ports = this.ports()
    const containers = containerCounts(seen, traffic, deniedOf(seen))
    this.#changes.note(at, [
      ...ports.map(each => [each.id, each] as const),
      ...containers.map(each => [each.owner, each] as const),
    ])
    return {
      at,
      generation: this.#changes.generation,
      isWhole: since?.generation !== this.#changes.generation,
      ports: ports.filter(({ id }) => this.#changes.hasChanged(id, since)),
      containers: containers.filter(({ owner }) => this.#changes.hasChanged(owner, since)),
      ...present({ obstacle }),
      tookMs: Math.min(performance.now() - began, processorMs(before)),
    }
  }

  ports(): PortCounts[] {
    return portCounts(this.#sources.published(), this.#sources.held(), this.attached())
  }

  /** The same list as long as nobody is attached or detached. */
  attached(): readonly Seen[] {
    const entries = this.#sources.index.others()
    if (entries !== this.#seenOf) this.#seen = entries.map(({ value }) => value.seen)
    this.#seenOf = entries
    return this.#seen
  }
}
