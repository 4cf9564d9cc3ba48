/**
 * Reports as one SVG picture: a bar for each line with a whisker from p10 to p90, and for each curve a small
 * panel with logarithmic axes. Colours follow the reader's light or dark page.
 */

import { barPanels } from './chart-bars.ts'
import { curvePanels } from './chart-curves.ts'
import { type Drawn, escapeText, text, WIDTH } from './chart-parts.ts'
import type { Report } from './report.ts'

/** A whole SVG document. */
export function drawReports(reports: readonly Report[]): string {
  const parts: string[] = []
  let y = 0
  for (const report of reports) {
    const drawn = stack([heading(report), ...barPanels(report), ...curvePanels(report), foot(report)])
    parts.push(`<g transform="translate(0 ${y})">${drawn.svg}</g>`)
    y += drawn.height + 24
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}">`,
    `<title>${escapeText(reports.map(({ title }) => title).join('; '))}</title>`,
    `<style>${STYLE}</style>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 17px; font-weight: 600; }
.small { font-size: 11px; fill: #57606a; }
.ours { fill: #0a7d55; } .peer { fill: #8c959f; }
.whisker, .axis { stroke: #57606a; fill: none; }
.curve { stroke: #0a7d55; stroke-width: 2; fill: none; } .flat { stroke: #8c959f; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; } .small { fill: #9198a1; }
  .ours { fill: #2ea67a; } .peer { fill: #6e7681; }
  .whisker, .axis { stroke: #9198a1; } .curve { stroke: #2ea67a; } .flat { stroke: #6e7681; }
}
`

const heading = ({ title }: Report): Drawn => ({ svg: text(0, 20, title, 'title'), height: 34 })

const foot = ({ versions }: Report): Drawn => ({
  svg: text(
    0,
    14,
    Object.entries(versions)
      .map(entry => entry.join(' '))
      .join(', '),
    'small',
  ),
  height: 20,
})

/** One below the other. */
function stack(drawings: readonly Drawn[]): Drawn {
  let height = 0
  const svg = drawings.map(drawing => {
    const moved = `<g transform="translate(0 ${height})">${drawing.svg}</g>`
    height += drawing.height
    return moved
  })
  return { svg: svg.join('\n'), height }
}
