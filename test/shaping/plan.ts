import t from 'tap'
import { ifbName, planShaping } from '../../src/shaping/plan.ts'

const owner = 'a1b2c3d4e5f60718'
const plan = (ingressRate: number, ingressBurst: number, egressRate = 0, egressBurst = 0, mtu = 1500) =>
  planShaping({ bandwidth: { ingressRate, ingressBurst, egressRate, egressBurst }, mtu, ifb: ifbName(owner) })

t.test('bits become bytes, and the queue holds 25 ms beside the burst', async t => {
  t.strictSame(plan(8_000_000, 800_000, 16_000_000, 160_000), {
    towards: { rate: 1_000_000, burst: 100_000, limit: 125_000, burstMicroseconds: 100_000 },
    from: {
      name: 'bwpa1b2c3d4e5f6',
      bucket: { rate: 2_000_000, burst: 20_000, limit: 70_000, burstMicroseconds: 10_000 },
    },
  })
})

t.test('what has no rate is not shaped', async t => {
  t.strictSame(plan(0, 0), {})
  t.strictSame(Object.keys(plan(8, 80_000)), ['towards'])
  t.strictSame(Object.keys(plan(0, 0, 8, 80_000)), ['from'])
})

t.test('the bucket holds at least one frame, whatever the burst', async t => {
  t.match(plan(8_000_000, 8).towards, { burst: 1514, limit: 26_514 })
  t.match(plan(8_000_000, 8, 0, 0, 9000).towards, { burst: 9014 })
})

t.test('a burst is counted in whole microseconds, unless a frame would not be left of it', async t => {
  t.match(plan(8_000_000_000, 8 * 1_500_700, 0, 0).towards, { burst: 1_500_700, burstMicroseconds: 1500 })
  // 1 µs of 1 GB/s are 1000 bytes.
  t.strictSame(plan(8_000_000_000, 8 * 1600).towards, { rate: 1e9, burst: 1600, limit: 25_001_600 })
  t.strictSame(
    Object.keys(plan(8 * 1000, 8 * 1e9).towards ?? {}),
    ['rate', 'burst', 'limit'],
    'beyond 32 bits',
  )
})

t.test('a rate below one byte a second is one byte a second', async t => {
  t.match(plan(7, 80_000).towards, { rate: 1, limit: 10_000 })
})

t.test('the largest limits stay within what the kernel counts', async t => {
  const most = 2 ** 32 * 8 - 8
  t.match(plan(100e9, most).towards, { rate: 12.5e9, burst: 2 ** 32 - 1, limit: 2 ** 32 - 1 })
})

t.test('the name of an ifb fits an interface name', async t => {
  t.equal(ifbName(owner).length, 15)
})
