/**
 * Curves: small panels side by side. Both axes are logarithmic and all panels span the same powers of ten,
 * so that equal steepness means equal growth; the dashed line is what would be flat.
 */

import { type Drawn, figure, round, text, WIDTH } from './chart-parts.ts'
import type { Curve } from './curve.ts'
import type { Report } from './report.ts'

const COLUMNS = 4
const PANEL = { width: WIDTH / COLUMNS, height: 150 }
/** The part of a panel that is drawn in. */
const PLOT = { x: 8, y: 44, width: PANEL.width - 32, height: 80 }

export function curvePanels({ curves = [] }: Report): Drawn[] {
  const drawable = curves.filter(({ points }) => points.every(({ summary }) => summary.median > 0))
  const decades = Math.max(1, ...drawable.map(spanOf))
  const rows = Math.ceil(drawable.length / COLUMNS)
  return Array.from({ length: rows }, (_, row) => ({
    svg: drawable
      .slice(row * COLUMNS, (row + 1) * COLUMNS)
      .map(
        (curve, column) => `<g transform="translate(${column * PANEL.width} 0)">${panel(curve, decades)}</g>`,
      )
      .join('\n'),
    height: PANEL.height,
  }))
}

/** Powers of ten between the smallest and the largest. */
function spanOf({ points }: Curve): number {
  const medians = points.map(({ summary }) => summary.median)
  return Math.log10(Math.max(...medians) / Math.min(...medians))
}

function panel({ work, by, unit, points, slope }: Curve, decades: number): string {
  const sizes = points.map(({ size }) => Math.log10(size))
  const [left, right] = [Math.min(...sizes), Math.max(...sizes)]
  const floor = Math.log10(Math.min(...points.map(({ summary }) => summary.median)))
  const at = (size: number, value: number): string => {
    const x = PLOT.x + (PLOT.width * (Math.log10(size) - left)) / (right - left || 1)
    const y = PLOT.y + PLOT.height * (1 - (Math.log10(value) - floor) / decades)
    return `${round(x)} ${round(y)}`
  }
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) return ''
  const bottom = PLOT.y + PLOT.height + 18
  return [
    text(PLOT.x, 14, work),
    text(PLOT.x, 30, `${by}; slope ${slope.toFixed(2)}`, 'small'),
    `<path class="flat" d="M${at(first.size, first.summary.median)}H${PLOT.x + PLOT.width}"/>`,
    `<path class="curve" d="M${points.map(({ size, summary }) => at(size, summary.median)).join('L')}"/>`,
    text(PLOT.x, bottom, `${figure(first.summary.median)} ${unit} at ${figure(first.size)}`, 'small'),
    text(
      PLOT.x + PLOT.width,
      bottom,
      `${figure(last.summary.median)} at ${figure(last.size)}`,
      'small',
      'end',
    ),
  ].join('')
}
