/**
 * Curves: small panels side by side. Both axes are logarithmic and all panels span the same powers of ten,
 * so that equal steepness means equal growth; the dashed line is what would be flat.
 */

import type { Curve } from '../curve.ts'
import type { Report } from '../report.ts'
import { type Drawn, figure, inColumns, round, text, WIDTH } from './parts.ts'

const COLUMNS = 4
const PANEL = { width: WIDTH / COLUMNS, height: 132 }
/** The part of a panel that is drawn in. */
const PLOT = { x: 0, y: 38, width: PANEL.width - 28, height: 54 }

export function curvePanels({ curves = [] }: Report): Drawn {
  const drawable = curves.filter(({ points }) => points.every(({ summary }) => summary.median > 0))
  const decades = Math.max(1, ...drawable.map(spanOf))
  const panels = drawable.map(curve => ({ svg: panel(curve, decades), height: PANEL.height }))
  return inColumns(panels, COLUMNS)
}

/** Powers of ten between the smallest and the largest. */
function spanOf({ points }: Curve): number {
  const medians = points.map(({ summary }) => summary.median)
  return Math.log10(Math.max(...medians) / Math.min(...medians))
}

function panel({ work, by, unit, points, ratio, slope }: Curve, decades: number): string {
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
  const bottom = PLOT.y + PLOT.height + 16
  // Not -0.00.
  const steepness = (Math.round(slope * 100) / 100 + 0).toFixed(2)
  return [
    text(PLOT.x, 14, work),
    text(PLOT.x, 29, `${by}; ${ratio.toFixed(2)} ×, slope ${steepness}`, 'small'),
    `<path class="flat" d="M${at(first.size, first.summary.median)}H${PLOT.x + PLOT.width}"/>`,
    `<path class="curve" d="M${points.map(({ size, summary }) => at(size, summary.median)).join('L')}"/>`,
    ...points.map(({ size, summary }) => {
      const [x, y] = at(size, summary.median).split(' ')
      return `<circle class="ours" cx="${x}" cy="${y}" r="2.5"/>`
    }),
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
