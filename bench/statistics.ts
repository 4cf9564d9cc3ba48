/**
 * Medians and their company, and whose turn it is. Durations on a shared machine have a long tail to the
 * right, so the mean says little; the spread is that of the middle half.
 */

export interface Summary {
  samples: number
  median: number
  /** Of 100, 10 (90, 95, 99) were not slower. */
  p10: number
  p90: number
  p95: number
  p99: number
  /** Distance between the first and the third quartile. */
  spread: number
}

/** @throws RangeError without samples */
export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b)
  return {
    samples: sorted.length,
    median: quantile(sorted, 0.5),
    p10: quantile(sorted, 0.1),
    p90: quantile(sorted, 0.9),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    spread: quantile(sorted, 0.75) - quantile(sorted, 0.25),
  }
}

/** Between two neighbours the value is interpolated. */
function quantile(sorted: readonly number[], share: number): number {
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)]
  const above = sorted[Math.ceil(position)]
  if (below === undefined || above === undefined) throw new RangeError('no samples')
  return below + (above - below) * (position - Math.floor(position))
}

/**
 * How fast y grows with x: the exponent of the power of x that fits best. 0: not at all, 1: in proportion,
 * 2: with the square. Least squares over the logarithms; NaN for less than two places.
 */
export function slope(points: readonly { x: number; y: number }[]): number {
  const logs = points.map(({ x, y }) => ({ x: Math.log(x), y: Math.log(y) }))
  const mean = (of: (point: { x: number; y: number }) => number) =>
    logs.reduce((sum, point) => sum + of(point), 0) / logs.length
  const middle = { x: mean(({ x }) => x), y: mean(({ y }) => y) }
  const together = mean(({ x, y }) => (x - middle.x) * (y - middle.y))
  return together / mean(({ x }) => (x - middle.x) ** 2)
}

/** The list, begun somewhere else each time: so everybody is first in turn. */
export const rotate = <T>(list: readonly T[], by: number): T[] => {
  const start = (by + list.length) % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}
