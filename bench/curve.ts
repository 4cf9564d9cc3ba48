/** How a piece of work grows with the size of the host on which it is done. */

import { type Summary, slope, summarize } from './statistics.ts'

export interface Curve {
  /** What was done, such as `ADD`. */
  work: string
  /** Who did it. */
  by: string
  unit: string
  /** From the smallest size on. */
  points: { size: number; summary: Summary }[]
  /** Exponent of growth: 0 flat, 1 in proportion to the size. */
  slope: number
  /** Largest size over smallest. */
  ratio: number
  /** The ratio that must not be exceeded. */
  budget?: number
}

export function curveOf(
  { work, by, unit, budget }: Pick<Curve, 'work' | 'by' | 'unit' | 'budget'>,
  samples: readonly { size: number; values: readonly number[] }[],
): Curve {
  const points = samples.map(({ size, values }) => ({ size, summary: summarize(values) }))
  const medians = points.map(({ summary }) => summary.median)
  return {
    work,
    by,
    unit,
    points,
    slope: slope(points.map(({ size, summary }) => ({ x: size, y: summary.median }))),
    ratio: (medians.at(-1) ?? Number.NaN) / (medians[0] ?? Number.NaN),
    ...(budget !== undefined && { budget }),
  }
}

export const curveKept = ({ ratio, budget }: Curve): boolean => budget === undefined || ratio <= budget

/** Rows of a table for curves over the same sizes, the head first. */
export function curveRows(curves: readonly Curve[]): string[][] {
  const sizes = curves[0]?.points.map(({ size }) => size) ?? []
  const head = ['', 'by', ...sizes.map(size => `at ${size}`), 'growth', 'slope', 'budget', '']
  const rows = curves.map(curve => [
    `${curve.work}, ${curve.unit}`,
    curve.by,
    ...curve.points.map(({ summary }) => summary.median.toFixed(1)),
    curve.ratio.toFixed(2),
    curve.slope.toFixed(2),
    curve.budget === undefined ? '' : `≤ ${curve.budget.toFixed(2)}`,
    curve.budget === undefined ? '' : curveKept(curve) ? 'kept' : 'OVER',
  ])
  return [head, ...rows]
}
