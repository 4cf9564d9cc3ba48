/**
 * Looks at the host again and again, as long as somebody looks on. What a look costs decides when the next one is: a host
 * with many containers is looked at less often, and this process, with the daemon that it asks, stays below some
 * hundredths of a processor.
 */

import { processorMs } from '../../model/duration.ts'
import { messageOf } from '../../model/errors.ts'
import { visible } from '../../model/text/text.ts'
import type { CountersReport } from '../../observe/observe.ts'
import { condense } from '../condense.ts'
import type { Graph } from '../model.ts'
import { layOut } from '../svg/layout.ts'
import { Rates } from './rates.ts'
import type { Viewers } from './viewers.ts'

export interface Look {
  graph: () => Promise<Graph>
  /** Undefined where nothing counts. */
  counters: () => Promise<CountersReport | undefined>
}

/** As many as fit on a page. */
const LIMITS = { containers: 15, ports: 25, peers: 10 }

const SHORTEST_MS = 1_000
/** A look of so much processor time, here and in the daemon, is followed by a pause so many times as long. */
const PAUSE_FACTOR = 80
/** What the daemon prints for a picture costs it so many times what it costs us to read. */
const PRINTING = 2

export const pauseAfter = (costMs: number): number => Math.max(SHORTEST_MS, costMs * PAUSE_FACTOR)

/** @returns what it cost the daemon, milliseconds */
type Work = () => Promise<number>

export class Live {
  readonly #look: Look
  readonly #viewers: Pick<Viewers, 'size' | 'tell'>
  readonly #rates = new Rates()
  readonly #timers = new Map<Work, NodeJS.Timeout>()
  #awake = false
  /** Of the looks that are made now: those of earlier ones end. */
  #round = 0

  constructor(look: Look, viewers: Pick<Viewers, 'size' | 'tell'>) {
    this.#look = look
    this.#viewers = viewers
  }

  /** Somebody has come. */
  wake(): undefined {
    if (this.#awake) return
    this.#awake = true
    this.#round++
    void this.#go(this.#picture, this.#round)
    void this.#go(this.#traffic, this.#round)
  }

  end(): void {
    this.#awake = false
    for (const timer of this.#timers.values()) clearTimeout(timer)
    this.#timers.clear()
  }

  readonly #picture: Work = async () => {
    const before = process.cpuUsage()
    const graph = await this.#look.graph()
    const readMs = processorMs(before)
    this.#viewers.tell('picture', layOut(condense(graph, LIMITS)))
    return readMs * PRINTING
  }

  readonly #traffic: Work = async () => {
    const before = process.cpuUsage()
    const report = await this.#look.counters()
    if (report === undefined) return 0
    const costMs = report.tookMs + processorMs(before) * PRINTING
    const traffic = this.#rates.next(report)
    if (traffic === undefined) return costMs
    const top = traffic.top.map(rate => ({
      ...rate,
      name: visible(rate.name),
      network: visible(rate.network),
    }))
    this.#viewers.tell('traffic', { ...traffic, top })
    return costMs
  }

  async #go(work: Work, round: number): Promise<void> {
    const before = process.cpuUsage()
    let daemonMs = 0
    try {
      daemonMs = await work()
      this.#viewers.tell('trouble', '')
    } catch (thrown) {
      this.#viewers.tell('trouble', visible(messageOf(thrown)))
    }
    if (!this.#awake || round !== this.#round) return
    if (this.#viewers.size === 0) return this.end()
    const pauseMs = pauseAfter(processorMs(before) + daemonMs)
    this.#timers.set(
      work,
      setTimeout(() => void this.#go(work, round), pauseMs),
    )
  }
}
