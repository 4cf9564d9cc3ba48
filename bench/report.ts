/**
 * What a benchmark says: one line for each thing measured, next to the peer that it is held against.
 */

import type { Summary } from './statistics.ts'

export interface Line {
  /** What was done, such as `ADD`. */
  work: string
  /** Who did it. */
  by: string
  summary: Summary
  /** Median over the peer's median of the same run; absent for the peer itself. */
  ratio?: number
  /** The ratio that must not be exceeded. */
  budget?: number
}

export interface Report {
  title: string
  /** Of the medians and spreads. */
  unit: string
  /** Program and version of everything that took part. */
  versions: Record<string, string>
  lines: Line[]
  /** What a reader has to know to judge the figures. */
  notes: string[]
}

/** True where every ratio keeps its budget. */
export const withinBudget = (report: Report): boolean =>
  report.lines.every(({ ratio, budget }) => ratio === undefined || budget === undefined || ratio <= budget)

/** The report for people. */
export function formatReport(report: Report): string {
  const head = ['', 'by', 'median', 'p95', 'spread', '× peer', 'budget', '']
  const rows = report.lines.map(({ work, by, summary, ratio, budget }) => [
    work,
    by,
    summary.median.toFixed(1),
    summary.p95.toFixed(1),
    summary.spread.toFixed(1),
    ratio?.toFixed(2) ?? '',
    budget?.toFixed(2) ?? '',
    ratio === undefined || budget === undefined ? '' : ratio <= budget ? 'kept' : 'OVER',
  ])
  const versions = Object.entries(report.versions).map(([name, version]) => `${name} ${version}`)
  return [
    `${report.title}, ${report.unit}`,
    '',
    ...columns([head, ...rows]),
    '',
    versions.join(', '),
    ...report.notes,
    '',
  ].join('\n')
}

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
