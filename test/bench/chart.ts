import t from 'tap'
import { drawReports } from '../../bench/chart.ts'
import { curveOf } from '../../bench/curve.ts'
import type { Report } from '../../bench/report.ts'
import { summarize } from '../../bench/statistics.ts'

const report: Report = {
  title: 'A <race>',
  unit: 'ms',
  versions: { tortoise: '1.0' },
  lines: [
    { work: 'ADD', by: 'the tortoise', summary: summarize([9, 10, 11]) },
    { work: 'ADD', by: 'tsnet', summary: summarize([4, 5, 6]), ratio: 0.5 },
  ],
  curves: [
    curveOf({ work: 'DEL', by: 'tsnet', unit: 'ms' }, [
      { size: 10, values: [3] },
      { size: 1000, values: [3] },
    ]),
  ],
  notes: [],
}

t.test('a chart shows each figure, ours in a colour of its own', async t => {
  const svg = drawReports([report])
  t.match(svg, /^<svg /)
  t.match(svg, /class="ours"/)
  t.match(svg, />5 {2}0\.50 ×</)
  t.match(svg, /slope 0\.00/)
  t.match(svg, /A &#60;race&#62;/)
  t.notMatch(svg, /NaN|undefined|Infinity/)
})

t.test('bars of one work are to one scale', async t => {
  const widths = [...drawReports([report]).matchAll(/<rect[^>]* width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  )
  t.equal(widths.length, 2)
  t.ok(Math.abs((widths[0] ?? 0) / (widths[1] ?? 1) - 2) < 0.01)
})
