/**
 * Medians and their company. Durations on a shared machine have a long tail to the right, so the mean says
 * little; the spread is that of the middle half.
 */

export interface Summary {
  samples: number
  median: number
  /** 95 of 100 were not slower. */
  p95: number
  /** Distance between the first and the third quartile. */
  spread: number
}

/** @throws RangeError without samples */
export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b)
  return {
    samples: sorted.length,
    median: quantile(sorted, 0.5),
    p95: quantile(sorted, 0.95),
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
