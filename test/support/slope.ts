/** A line through points by least squares. */

/** Two-sided 95 % of Student's t for more than fifteen points, rounded up. */
const T95 = 2.13

/**
 * @param points at least three, of more than one x
 * @returns the slope, and half the width of its interval of 95 %
 */
export function slopeOf(points: readonly (readonly [x: number, y: number])[]): {
  slope: number
  half: number
} {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [mx, my] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const sxx = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
  const slope = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx
  const rest = points.reduce((sum, [x, y]) => sum + (y - my - slope * (x - mx)) ** 2, 0)
  return { slope, half: T95 * Math.sqrt(rest / (points.length - 2) / sxx) }
}
