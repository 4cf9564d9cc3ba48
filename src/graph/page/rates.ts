/** What is sent in a second, out of counters that only grow. */

import type { ContainerCounts, CountersReport } from '../../observe/observe.ts'
import type { Rate, Traffic } from './told.ts'

const POINTS_MAX = 120
const TOP = 8

type Report = Pick<CountersReport, 'at' | 'containers'>

export class Rates {
  #before: Report | undefined
  #points: Traffic['points'] = []

  /** @returns what was so since the report before; undefined for the first */
  next(report: Report): Traffic | undefined {
    const before = this.#before
    const seconds = (report.at - (before?.at ?? report.at)) / 1000
    if (before !== undefined && seconds <= 0) return undefined
    this.#before = report
    if (before === undefined) return undefined
    const byOwner = new Map(before.containers.map(each => [each.owner, each]))
    const rates = report.containers.flatMap(each => {
      const earlier = byOwner.get(each.owner)
      return earlier === undefined ? [] : [rateOf(earlier, each, seconds)]
    })
    const sum = (way: 'in' | 'out') => rates.reduce((all, rate) => all + rate[way], 0)
    this.#points = [...this.#points, { at: report.at, in: sum('in'), out: sum('out') }].slice(-POINTS_MAX)
    const top = rates
      .filter(rate => rate.in + rate.out > 0)
      .sort((a, b) => b.in + b.out - a.in - a.out)
      .slice(0, TOP)
    return { points: this.#points, top }
  }
}

/** A counter that is less than it was has begun anew. */
function rateOf(before: ContainerCounts, now: ContainerCounts, seconds: number): Rate {
  const rate = (way: 'bytesIn' | 'bytesOut') =>
    Math.round((now[way] >= before[way] ? now[way] - before[way] : now[way]) / seconds)
  return { name: now.name, network: now.network, in: rate('bytesIn'), out: rate('bytesOut') }
}
