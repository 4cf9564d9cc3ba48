import t from 'tap'
import { markdownOf } from '../../bench/markdown.ts'
import type { Line, Report } from '../../bench/report.ts'
import { summarize } from '../../bench/statistics.ts'

const line = (work: string, by: string, median: number, more: Partial<Line> = {}): Line => ({
  work,
  by,
  summary: summarize([median]),
  ...more,
})

t.test('works of the same sides share a table, with ratios to the peer and to another build', async t => {
  const report: Report = {
    title: 'A race',
    unit: 'ms',
    versions: {},
    lines: [
      line('ADD', 'hare', 10),
      line('ADD', 'tortoise', 4.21, { ratio: 0.421 }),
      line('DEL', 'hare', 20),
      line('DEL', 'tortoise', 5, { ratio: 0.25, against: 0.9 }),
      line('memory', 'tortoise', 7, { unit: 'MB' }),
    ],
    notes: ['uphill'],
  }
  t.equal(
    markdownOf(report),
    [
      '## A race',
      '',
      '|  | ADD, ms | DEL, ms |',
      '| --- | ---: | ---: |',
      '| hare | 10 | 20 |',
      '| tortoise | 4.21 (0.42 ×) | 5 (0.25 ×, other 0.90 ×) |',
      '',
      '|  | memory, MB |',
      '| --- | ---: |',
      '| tortoise | 7 |',
      '',
      '- uphill',
      '',
    ].join('\n'),
  )
})
