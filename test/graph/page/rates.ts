/** Rates out of counters, and how often a host is looked at. */

import t from 'tap'
import { Live, pauseAfter } from '../../../src/graph/page/live.ts'
import { Rates } from '../../../src/graph/page/rates.ts'
import type { ContainerCounts } from '../../../src/observe/observe.ts'

const counts = (name: string, bytesIn: number, bytesOut: number): ContainerCounts => ({
  owner: `owner-of-${name}`,
  id: name,
  name,
  network: 'front',
  ifname: 'eth0',
  addresses: [],
  bytesIn,
  bytesOut,
  packetsIn: 0,
  packetsOut: 0,
  dropped: 0,
})

t.test('a rate is what was added in the time since, and who has sent most comes first', async t => {
  const rates = new Rates()
  t.equal(rates.next({ at: 1_000, containers: [counts('a', 100, 0), counts('b', 0, 0)] }), undefined)
  const after = rates.next({
    at: 3_000,
    containers: [counts('a', 300, 50), counts('b', 0, 4_000), counts('new', 9_000, 9_000)],
  })
  t.same(after, {
    points: [{ at: 3_000, in: 100, out: 2_025 }],
    top: [
      { name: 'b', network: 'front', in: 0, out: 2_000 },
      { name: 'a', network: 'front', in: 100, out: 25 },
    ],
  })
  t.equal(rates.next({ at: 3_000, containers: [] }), undefined, 'no time has passed')
})

t.test('a counter that has begun anew counts from nothing', async t => {
  const rates = new Rates()
  rates.next({ at: 0, containers: [counts('a', 1_000_000, 0)] })
  t.match(rates.next({ at: 1_000, containers: [counts('a', 500, 0)] }), { points: [{ in: 500 }] })
})

t.test('of the past two minutes are kept, however long it goes on', async t => {
  const rates = new Rates()
  const lengths = Array.from(
    { length: 1000 },
    (_, second) =>
      rates.next({ at: second * 1000, containers: [counts('a', second, 0)] })?.points.length ?? 0,
  )
  t.equal(Math.max(...lengths), 120)
})

t.test('looks cost less than a fiftieth of a processor, however much one costs', async t => {
  t.equal(pauseAfter(1), 1_000)
  for (const costMs of [10, 100, 1_000, 5_000]) t.ok(costMs / (costMs + pauseAfter(costMs)) < 0.02)
})

t.test('what a look costs the daemon counts as well', async t => {
  const pauses: number[] = []
  const { setTimeout: own } = globalThis
  t.teardown(() => {
    globalThis.setTimeout = own
  })
  const told: string[] = []
  const counters = async () => ({
    ...{ at: 0, tookMs: 1_000, generation: 0, isWhole: true },
    ports: [],
    containers: [],
  })
  const live = new Live(
    { graph: async () => ({ nodes: [], edges: [] }), counters },
    { size: 1, tell: what => void told.push(what) },
  )
  const looked = new Promise<void>(done => {
    globalThis.setTimeout = ((_: () => void, ms: number) => {
      if (pauses.push(ms) === 2) done()
    }) as unknown as typeof own
  })
  live.wake()
  await looked
  live.end()
  t.equal(pauses.filter(ms => ms >= pauseAfter(1_000)).length, 1, 'that of the numbers')
  t.ok(told.includes('picture'))
})
