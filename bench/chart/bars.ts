/**
 * Bars: one for each line of a report, those of one work together and to one scale. A dashed line is the limit
 * that ours has.
 */

import type { Line, Report } from '../report.ts'
import { type Drawn, figure, inColumns, isOurs, round, text, WIDTH } from './parts.ts'

const COLUMNS = 2
const ROW = 20
/** The part of a panel where names are. */
const LABELS = 216
/** And where figures are. */
const FIGURES = 104
const SPAN = WIDTH / COLUMNS - LABELS - FIGURES

export function barPanels({ lines, unit }: Report): Drawn {
  const shown = lines.filter(({ detail }) => detail !== true)
  const works = [...new Set(shown.map(({ work }) => work))]
  return inColumns(
    works.map(work => {
      const group = shown.filter(line => line.work === work)
      return panel(work, group[0]?.unit ?? unit, group)
    }),
    COLUMNS,
  )
}

function panel(work: string, unit: string, group: readonly Line[]): Drawn {
  const values = group.flatMap(line => [line.summary.median, line.summary.p90, limitOf(line) ?? 0])
  const scale = SPAN / Math.max(...values)
  return {
    svg: [
      text(0, 14, [work, unit, wish(group)].filter(Boolean).join(', ')),
      ...group.map((line, index) => bar(line, 24 + index * ROW, scale)),
    ].join('\n'),
    height: 44 + group.length * ROW,
  }
}

function bar(line: Line, y: number, scale: number): string {
  const { by, summary, ratio } = line
  const { samples, median, p10, p90 } = summary
  const middle = y + ROW / 2 - 2
  const limit = limitOf(line)
  const [end, from, to, atLimit] = [median, p10, p90, limit ?? 0].map(value =>
    round(LABELS + value * scale),
  ) as [number, number, number, number]
  return [
    text(LABELS - 8, middle + 4, by, 'small', 'end'),
    `<rect x="${LABELS}" y="${y}" width="${round(median * scale)}" height="${ROW - 5}" rx="2" class="${isOurs(by) ? 'ours' : 'peer'}"/>`,
    samples > 1
      ? `<path class="whisker" d="M${from} ${middle}H${to}M${from} ${middle - 4}v8M${to} ${middle - 4}v8"/>`
      : '',
    limit === undefined ? '' : `<path class="limit" d="M${atLimit} ${y - 2}v${ROW - 1}"/>`,
    figures(Math.max(end, samples > 1 ? to : 0, atLimit) + 8, middle + 4, median, ratio),
  ].join('')
}

function figures(x: number, y: number, median: number, ratio: number | undefined): string {
  const beside = ratio === undefined ? '' : `<tspan dx="6" class="small">${ratio.toFixed(2)} ×</tspan>`
  return `<text x="${round(x)}" y="${round(y)}">${figure(median)}${beside}</text>`
}

/** In the unit of the line. */
function limitOf({ summary, ratio, budget, atLeast, limit }: Line): number | undefined {
  const share = budget ?? atLeast
  if (limit !== undefined || share === undefined || ratio === undefined) return limit
  return (summary.median / ratio) * share
}

function wish(group: readonly Line[]): string {
  if (group.some(({ atLeast }) => atLeast !== undefined)) return 'more is better'
  return group.some(line => limitOf(line) !== undefined) ? 'less is better' : ''
}
