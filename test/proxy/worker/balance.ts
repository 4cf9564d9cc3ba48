import t from 'tap'
import type { Destination } from '../../../src/proxy/destination.ts'
import { Balance } from '../../../src/proxy/worker/balance.ts'

const destinations: Destination[] = ['a', 'b', 'c'].map(path => ({ kind: 'unix', root: 3, path }))

t.test('a client goes where the fewest are', async t => {
  const balance = new Balance(destinations)
  const chosen = Array.from({ length: 6 }, () => {
    const index = balance.choose(undefined, 0)
    balance.enter(index)
    return index
  })
  t.strictSame(chosen, [0, 1, 2, 0, 1, 2])
  balance.leave(1)
  t.equal(balance.choose(undefined, 0), 1)
})

t.test('what was tried is not tried again', async t => {
  const balance = new Balance(destinations)
  t.equal(balance.choose(new Set([0]), 0), 1)
  t.equal(balance.choose(new Set([0, 1, 2]), 0), -1)
})

t.test('a target that did not answer comes last for a second', async t => {
  const balance = new Balance(destinations)
  balance.failed(0, 5000)
  balance.enter(1)
  balance.enter(2)
  t.equal(balance.choose(undefined, 5500), 1)
  t.equal(balance.choose(new Set([1, 2]), 5500), 0)
  t.equal(balance.choose(undefined, 6001), 0)
})

t.test('a target is left where another has it no more, and where it can be told from others', t => {
  const at = (last: number, netns?: number): Destination => ({
    kind: 'ip',
    domain: 2,
    address: Uint8Array.of(2, 0, 0, 80, 10, 0, 0, last),
    netns,
  })
  const before = new Balance([at(1), at(2), at(3, 7)])
  const now = new Balance([at(2), at(4)], before)
  t.equal(before.leftBy(now, 0), before.destinations[0])
  t.equal(before.leftBy(now, 1), undefined, 'it stays')
  t.equal(before.leftBy(now, 2), undefined, 'what is behind a descriptor is not known')
  t.end()
})

t.test('a target that stays keeps its clients when others come and go', async t => {
  const at = (last: number): Destination => ({
    kind: 'ip',
    domain: 2,
    address: Uint8Array.of(2, 0, 0, 80, 10, 0, 0, last),
    netns: undefined,
  })
  const before = new Balance([at(1), at(2)])
  for (const index of [0, 0, 0, 1]) before.enter(index)
  before.failed(1, 5000)
  const after = new Balance([at(3), at(2), at(1)], before)
  t.equal(after.choose(undefined, 5500), 0, 'who has just come has the fewest')
  t.equal(after.choose(new Set([0]), 5500), 2, 'who did not answer comes last')
  t.equal(after.choose(new Set([0]), 7000), 1)
  t.equal(before.indexIn(after, 0), 2)
  before.leave(0)
  before.leave(0)
  before.leave(0)
  t.equal(after.choose(new Set([0]), 7000), 2, 'who leaves is known to have left')
  const gone = new Balance([at(3)], after)
  t.equal(after.indexIn(gone, 1), -1)
  gone.leave(-1)
  const inside: Destination = { kind: 'ip', domain: 2, address: Uint8Array.of(1), netns: 9 }
  const other = new Balance([inside])
  other.enter(0)
  t.equal(
    other.indexIn(new Balance([inside], other), 0),
    -1,
    'a descriptor says nothing of what is behind it',
  )
})
