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
