import fc from 'fast-check'
import t from 'tap'
import { slope, summarize } from '../../bench/statistics.ts'

t.test('the median of an even number of samples lies between the two in the middle', async t => {
  t.match(summarize([4, 1, 3, 2]), { samples: 4, median: 2.5 })
})

t.test('one slow run in twenty-one moves the p95 and not the median', async t => {
  const { median, p95, spread } = summarize([...Array(20).fill(10), 1000])
  t.equal(median, 10)
  t.equal(p95, 10)
  t.equal(spread, 0)
  t.equal(summarize([...Array(18).fill(10), 1000, 1000]).p95, 1000)
})

t.test('median and p95 are in order and within the samples', async () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1 }), samples => {
      const { median, p95, spread } = summarize(samples)
      const low = Math.min(...samples)
      const high = Math.max(...samples)
      const close = 1e-6
      return low - close <= median && median <= p95 + close && p95 <= high + close && spread >= -close
    }),
  )
})

t.test('no samples are an error', async t => {
  t.throws(() => summarize([]), RangeError)
})

t.test('the slope is the exponent of growth', async t => {
  const points = (of: (x: number) => number) => [10, 100, 1000].map(x => ({ x, y: of(x) }))
  t.ok(Math.abs(slope(points(() => 7))) < 1e-9)
  t.ok(Math.abs(slope(points(x => 3 * x)) - 1) < 1e-9)
  t.ok(Math.abs(slope(points(x => x * x)) - 2) < 1e-9)
})
