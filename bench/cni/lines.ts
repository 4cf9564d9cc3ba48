/** What has been measured as lines of a report, next to the reference and to what each may cost. */

import type { Line } from '../report.ts'
import { summarize } from '../statistics.ts'
import { budgetOf, DAEMON_PROCESSOR_MS, DEL_BEYOND_KERNEL_MS, type Work } from './budgets.ts'
import { COUNTS } from './count.ts'
import { FRESH } from './fresh.ts'
import type { Kernel } from './kernel.ts'
import { type Side, summaryOf } from './sides.ts'

/** What a part of the bench has to say. */
export interface Found {
  lines: Line[]
  notes: string[]
}

export const NO_PAUSE = ', no pause'
export const ALONE = ', alone'

/** Of all who took part, and of the daemon. */
export const PROCESSOR = 'ADD and DEL, processor time'
export const DAEMON_PROCESSOR = 'ADD and DEL, processor time of the daemon'
export const DAEMON_WAITS = 'ADD and DEL, the daemon waits for a processor'

const CALLS: readonly Work[] = ['ADD', 'DEL', `ADD${ALONE}`, `DEL${ALONE}`]

/** Each work of all sides together, the reference first. */
export function linesOfSides(sides: readonly Side[], kernel: Kernel): Line[] {
  return [
    ...CALLS.flatMap(work => linesOf(work, sides, side => demandOf(side, work, kernel, ''))),
    ...CALLS.flatMap(work =>
      linesOf(`${work}${NO_PAUSE}`, sides, side => demandOf(side, work, kernel, NO_PAUSE)).map(inTables),
    ),
    ...linesOf(PROCESSOR, sides),
    ...linesOf(DAEMON_PROCESSOR, sides, ({ ours }) =>
      ours?.backend === 'nftables' ? { limit: DAEMON_PROCESSOR_MS, unit: 'ms' } : {},
    ),
    ...linesOf(DAEMON_WAITS, sides).map(inTables),
    ...linesOf(FRESH, sides, undefined, 'ADD').map(inTables),
    ...Object.values(COUNTS).flatMap(work => linesOf(work, sides, () => ({ unit: '' }))),
  ]
}

export const linesOfKernel = ({ samples }: Kernel): Line[] =>
  [...samples].map(([work, values]) => inTables({ work, by: 'ip', summary: summarize(values) }))

/** Not in charts. */
const inTables = (line: Line): Line => ({ ...line, detail: true })

type Demand = Pick<Line, 'budget' | 'goal' | 'limit' | 'unit'>

/**
 * Nothing is demanded of a side that is not this build's.
 * @param peers what the reference did, where that has another name
 */
export function linesOf(
  work: string,
  sides: readonly Side[],
  demand: (side: Side) => Demand = () => ({}),
  peers = work,
): Line[] {
  // Nobody knows processor time where there is no compiler.
  const known = sides.filter(({ samples }) => samples.get(work)?.some(Number.isFinite))
  const peer = sides.find(({ ours, samples }) => ours === undefined && samples.has(peers))
  const reference = peer && summaryOf(peer, peers).median
  return known.map(side => {
    const { ours, name } = side
    const summary = summaryOf(side, work)
    const before = known.find(other => isBefore(other, side))
    const { unit, ...wish } = demand(side)
    return {
      work,
      by: name,
      summary,
      ...(unit !== undefined && { unit }),
      ...(ours && reference !== undefined && { ratio: summary.median / reference }),
      ...(before && { against: summary.median / summaryOf(before, work).median }),
      ...(ours?.build.isThis && wish),
    }
  })
}

/** Whether one is what another build does where the other is what this one does. */
const isBefore = (one: Side, other: Side): boolean =>
  one.ours !== undefined &&
  other.ours?.build.isThis === true &&
  !one.ours.build.isThis &&
  one.ours.backend === other.ours.backend &&
  one.ours.how === other.ours.how

function demandOf({ ours }: Side, work: Work, kernel: Kernel, suffix: string): Demand {
  if (ours === undefined) return {}
  if (ours.how === 'with the daemon' && work.startsWith('DEL')) {
    const link = kernel.waitMs('link', suffix)
    const bridge = work === `DEL${ALONE}` ? kernel.waitMs('bridge', suffix) : 0
    return { limit: Math.round((link + bridge + DEL_BEYOND_KERNEL_MS) * 10) / 10, unit: 'ms' }
  }
  const budget = budgetOf(ours.how, ours.backend, work)
  if (budget === undefined) return {}
  return { budget: budget.ratio, ...(budget.goal !== undefined && { goal: budget.goal }) }
}
