/**
 * Reports as one SVG picture: a bar for each line with a whisker from p10 to p90, and for each curve a small
 * panel with logarithmic axes. Colours follow the reader's light or dark page; the ground is drawn too, for
 * readers whose page does not follow what they prefer.
 */

import type { Report } from '../report.ts'
import { barPanels } from './bars.ts'
import { curvePanels } from './curves.ts'
import { type Drawn, escapeText, paragraph, stack, text, WIDTH } from './parts.ts'

const MARGIN = 24
const LEGEND =
  'Bars: medians; whiskers: from p10 to p90; ×: to the first of the group, in the same run; dashed: the limit for tsnet.'
const CURVES =
  ' Curves: both axes logarithmic and of one scale; dashed: what would be flat; ×: the largest host to the smallest.'

/** A whole SVG document. */
export function drawReports(reports: readonly Report[]): string {
  const hasCurves = reports.some(({ curves = [] }) => curves.length > 0)
  const sections = reports.map(report =>
    stack([heading(report), barPanels(report), curvePanels(report), foot(report)]),
  )
  const { svg, height } = stack([...sections, paragraph(LEGEND + (hasCurves ? CURVES : ''))], 20)
  const [width, whole] = [WIDTH + 2 * MARGIN, Math.ceil(height) + 2 * MARGIN]
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${whole}" viewBox="0 0 ${width} ${whole}">`,
    `<title>${escapeText(reports.map(({ title }) => title).join('; '))}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${width}" height="${whole}" rx="8"/>`,
    `<g transform="translate(${MARGIN} ${MARGIN})">${svg}</g>`,
    '</svg>',
    '',
  ].join('\n')
}

const STYLE = `
.ground { fill: #ffffff; }
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 17px; font-weight: 600; }
.small { font-size: 11px; fill: #57606a; }
.ours { fill: #0a7d55; } .peer { fill: #8c959f; }
.whisker, .axis { stroke: #57606a; fill: none; }
.curve { stroke: #0a7d55; stroke-width: 2; fill: none; } .flat { stroke: #8c959f; stroke-dasharray: 3 3; }
.limit { stroke: #bc4c00; stroke-width: 2; stroke-dasharray: 3 2; fill: none; }
@media (prefers-color-scheme: dark) {
  .ground { fill: #0d1117; } .limit { stroke: #f0883e; }
  text { fill: #e6edf3; } .small { fill: #9198a1; }
  .ours { fill: #2ea67a; } .peer { fill: #6e7681; }
  .whisker, .axis { stroke: #9198a1; } .curve { stroke: #2ea67a; } .flat { stroke: #6e7681; }
}
`

const heading = ({ title }: Report): Drawn => ({ svg: text(0, 18, title, 'title'), height: 34 })

const foot = ({ versions }: Report): Drawn =>
  paragraph(
    Object.entries(versions)
      .map(entry => entry.join(' '))
      .join(', '),
  )
