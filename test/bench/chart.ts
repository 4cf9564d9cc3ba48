import t from 'tap'
import { drawReports } from '../../bench/chart/chart.ts'
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
  t.match(svg, />5<tspan[^>]*>0\.50 ×</)
  t.match(svg, /slope 0\.00/)
  t.match(svg, /A &#60;race&#62;/)
  t.notMatch(svg, /NaN|undefined|Infinity/)
})

t.test('a limit is drawn where it is reached, and what is a detail is left out', async t => {
  const line = { by: 'tsnet', summary: summarize([4, 5, 6]), ratio: 0.5 }
  const limited = { ...line, work: 'ADD', budget: 1 }
  const svg = drawReports([{ ...report, lines: [limited, { ...line, work: 'trifle', detail: true }] }])
  const [, bar] = /<rect[^>]*width="([\d.]+)"[^>]*class="ours"/.exec(svg) ?? []
  const [, start] = /<rect x="([\d.]+)"/.exec(svg) ?? []
  const [, limit] = /class="limit" d="M([\d.]+)/.exec(svg) ?? []
  t.ok(Math.abs((Number(limit) - Number(start)) / Number(bar) - 2) < 0.01, `${start} ${bar} ${limit}`)
  t.match(svg, /less is better/)
  t.notMatch(svg, /trifle/)
})

t.test('bars of one work are to one scale', async t => {
  const widths = [...drawReports([report]).matchAll(/<rect x[^>]* width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  )
  t.equal(widths.length, 2)
  t.ok(Math.abs((widths[0] ?? 0) / (widths[1] ?? 1) - 2) < 0.01)
})
