/**
 * What a benchmark says: one line for each thing measured, next to the peer that it is held against.
 */

import { type Curve, curveKept, curveRows } from './curve.ts'
import type { Summary } from './statistics.ts'

export interface Line {
  /** What was done, such as `ADD`. */
  work: string
  /** Who did it. */
  by: string
  summary: Summary
  /** Median over the peer's median of the same run; absent for the peer itself. */
  ratio?: number
  /** Median over that of another build in the same run. */
  against?: number
  /** The ratio that must not be exceeded. */
  budget?: number
  /** And the one that would be better still. */
  goal?: number
  /** The ratio that must be reached, where more is better. */
  atLeast?: number
  /** What the median may not exceed. */
  limit?: number
  /** Where lines differ in it; absent: the report's. */
  unit?: string
  /** For tables, not for charts. */
  detail?: true
}

export interface Report {
  title: string
  /** Of the medians and spreads. */
  unit: string
  /** Program and version of everything that took part. */
  versions: Record<string, string>
  lines: Line[]
  /** How work grows, each over the same sizes. */
  curves?: Curve[]
  /** What a reader has to know to judge the figures. */
  notes: string[]
}

/** True where every ratio keeps its budget. */
export const withinBudget = ({ lines, curves = [] }: Report): boolean =>
  lines.every(line => verdict(line) !== 'OVER') && curves.every(curveKept)

/** Empty where nothing is demanded. */
function verdict({ summary, limit, ratio, budget, atLeast }: Line): '' | 'kept' | 'OVER' {
  if (limit !== undefined) return summary.median <= limit ? 'kept' : 'OVER'
  if (ratio === undefined || (budget ?? atLeast) === undefined) return ''
  return ratio <= (budget ?? Number.POSITIVE_INFINITY) && ratio >= (atLeast ?? 0) ? 'kept' : 'OVER'
}

/** The report for people. */
export function formatReport(report: Report): string {
  const compares = report.lines.some(({ against }) => against !== undefined)
  const other = (cell: string) => (compares ? [cell] : [])
  const head = ['', 'by', 'median', 'p10', 'p90', '× peer', ...other('× other'), 'budget', '']
  const rows = report.lines.map(line => [
    [line.work, line.unit === report.unit ? '' : line.unit].filter(Boolean).join(', '),
    line.by,
    ...figures(line),
    line.ratio?.toFixed(2) ?? '',
    ...other(line.against?.toFixed(2) ?? ''),
    limits(line),
    verdict(line),
  ])
  const versions = Object.entries(report.versions).map(([name, version]) => `${name} ${version}`)
  return [
    [report.title, report.unit].filter(Boolean).join(', '),
    '',
    ...(rows.length > 0 ? [...columns([head, ...rows]), ''] : []),
    ...(report.curves ? [...columns(curveRows(report.curves)), ''] : []),
    versions.join(', '),
    ...report.notes,
    '',
  ].join('\n')
}

function figures({ summary }: Line): string[] {
  const { samples, median, p10, p90 } = summary
  const spread = samples > 1 ? [p10, p90].map(value => value.toFixed(1)) : ['', '']
  // What is counted is whole.
  return [samples === 1 && Number.isInteger(median) ? String(median) : median.toFixed(1), ...spread]
}

const limits = ({ limit, unit, budget, goal, atLeast }: Line): string =>
  [
    ...(limit === undefined ? [] : [`≤ ${limit} ${unit ?? ''}`.trimEnd()]),
    ...(budget === undefined ? [] : [`≤ ${budget.toFixed(2)}`]),
    ...(goal === undefined ? [] : [`(${goal.toFixed(2)})`]),
    ...(atLeast === undefined ? [] : [`≥ ${atLeast.toFixed(2)}`]),
  ].join(' ')

/** Lines up cells; the first two columns to the left, the figures to the right. */
function columns(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map(row => row[index]?.length ?? 0)))
  return rows.map(row =>
    row
      .map((cell, index) => {
        const width = widths[index] ?? 0
        return index < 2 ? cell.padEnd(width) : cell.padStart(width)
      })
      .join('  ')
      .trimEnd(),
  )
}
