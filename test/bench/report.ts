import t from 'tap'
import { curveOf } from '../../bench/curve.ts'
import { formatReport, type Report, withinBudget } from '../../bench/report.ts'

const summary = (median: number) => ({
  samples: 3,
  median,
  p10: median - 1,
  p90: median + 1,
  p95: median + 1,
  p99: median + 1,
  spread: 0.5,
})

const report: Report = {
  title: 'A race',
  unit: 'ms',
  versions: { tortoise: '1.0', hare: '2.0' },
  lines: [
    { work: 'ADD', by: 'the tortoise', summary: summary(10) },
    { work: 'ADD', by: 'the hare', summary: summary(4), ratio: 0.4, budget: 0.5 },
  ],
  notes: ['uphill'],
}

t.test('a report lines up who did what in which time', async t => {
  t.equal(
    formatReport(report),
    [
      'A race, ms',
      '',
      '     by            median  p10   p90  × peer  budget',
      'ADD  the tortoise    10.0  9.0  11.0',
      'ADD  the hare         4.0  3.0   5.0    0.40  ≤ 0.50  kept',
      '',
      'tortoise 1.0, hare 2.0',
      'uphill',
      '',
    ].join('\n'),
  )
})

t.test('a ratio above its budget is told', async t => {
  t.ok(withinBudget(report))
  const late: Report = {
    ...report,
    lines: [{ work: 'ADD', by: 'the hare', summary: summary(6), ratio: 0.6, budget: 0.5 }],
  }
  t.notOk(withinBudget(late))
  t.match(formatReport(late), /0\.60 +≤ 0\.50 +OVER/)
})

t.test('curves are lined up by size, and one that grows too much is told', async t => {
  const grows = curveOf({ work: 'DEL', by: 'the hare', unit: 'ms', budget: 1.2 }, [
    { size: 10, values: [2] },
    { size: 1000, values: [20] },
  ])
  const text = formatReport({ ...report, lines: [], curves: [grows] })
  t.match(text, / at 10 +at 1000 +growth +slope +budget/)
  t.match(text, /DEL, ms +the hare +2\.0 +20\.0 +10\.00 +0\.50 +≤ 1\.20 +OVER/)
  t.notOk(withinBudget({ ...report, lines: [], curves: [grows] }))
})

t.test(
  'beside another build there is a column for what this one takes over it, and goals stand beside budgets',
  async t => {
    const lines = [
      { work: 'ADD', by: "before's", summary: summary(8), ratio: 0.8 },
      { work: 'ADD', by: 'tsnet', summary: summary(4), ratio: 0.4, against: 0.5, budget: 0.5, goal: 0.3 },
      { work: 'DEL', by: 'tsnet', summary: summary(4), limit: 5, unit: 'ms' },
    ]
    const text = formatReport({ ...report, lines })
    t.match(text, /× peer {2}× other +budget/)
    t.match(text, /ADD +tsnet +4\.0 +3\.0 +5\.0 +0\.40 +0\.50 +≤ 0\.50 \(0\.30\) +kept/)
    t.match(text, /^DEL +tsnet .* ≤ 5 ms +kept$/m)
  },
)
