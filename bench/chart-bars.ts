/** Bars: one for each line of a report, those of one work together and to one scale. */

import { type Drawn, figure, isOurs, round, text, WIDTH } from './chart-parts.ts'
import type { Line, Report } from './report.ts'

const ROW = 22
const LABELS = 250
const FIGURES = 190
const SPAN = WIDTH - LABELS - FIGURES

export function barPanels({ lines, unit }: Report): Drawn[] {
  const works = [...new Set(lines.map(({ work }) => work))]
  return works.map(work => {
    const group = lines.filter(line => line.work === work)
    const most = Math.max(...group.map(({ summary }) => Math.max(summary.median, summary.p90)))
    const rows = group.map((line, index) => bar(line, 22 + index * ROW, SPAN / most))
    const { unit: own = unit } = group[0] ?? {}
    return {
      svg: [text(0, 14, [work, own].filter(Boolean).join(', ')), ...rows].join('\n'),
      height: 30 + group.length * ROW,
    }
  })
}

function bar({ by, summary, ratio }: Line, y: number, scale: number): string {
  const { median, p10, p90 } = summary
  const middle = y + ROW / 2 - 2
  const [from, to] = [p10, p90].map(value => round(LABELS + value * scale)) as [number, number]
  const beside = ratio === undefined ? '' : `  ${ratio.toFixed(2)} ×`
  return [
    text(LABELS - 8, middle + 4, by, 'small', 'end'),
    `<rect x="${LABELS}" y="${y}" width="${round(median * scale)}" height="${ROW - 5}" rx="2" class="${isOurs(by) ? 'ours' : 'peer'}"/>`,
    `<path class="whisker" d="M${from} ${middle}H${to}M${from} ${middle - 4}v8M${to} ${middle - 4}v8"/>`,
    text(Math.max(LABELS + median * scale, to) + 8, middle + 4, `${figure(median)}${beside}`),
  ].join('')
}
