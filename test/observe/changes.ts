/** What has changed since a look, and what not. */

import t from 'tap'
import { Changes } from '../../src/observe/changes.ts'

const numbers = (bytesIn: number, active = 0) => ({
  bytesIn,
  bytesOut: 0,
  packetsIn: 0,
  packetsOut: 0,
  dropped: 0,
  active,
})

t.test('what moved since a look has changed, and where somebody came or went everything has', async t => {
  const changes = new Changes()
  const changedSince = (at: number, generation = changes.generation) =>
    ['a', 'b'].filter(key => changes.hasChanged(key, { at, generation }))
  changes.note(1, [
    ['a', numbers(5)],
    ['b', numbers(5)],
  ])
  const { generation } = changes
  t.strictSame(changedSince(1), [])
  changes.note(2, [
    ['a', numbers(6)],
    ['b', numbers(5)],
  ])
  t.strictSame(changedSince(1), ['a'])
  changes.note(3, [
    ['a', numbers(6)],
    ['b', numbers(5, 1)],
  ])
  t.strictSame(changedSince(1), ['a', 'b'], 'for one who looks seldom')
  t.strictSame(changedSince(2), ['b'], 'for one who looks often')
  t.equal(changes.generation, generation)
  t.ok(changes.hasChanged('a', undefined))
  changes.note(4, [
    ['a', numbers(6)],
    ['c', numbers(5)],
  ])
  t.not(changes.generation, generation)
  t.strictSame(changedSince(3, generation), ['a', 'b'])
  changes.note(5, [['a', numbers(6)]])
  t.ok(changes.hasChanged('a', { at: 4, generation: changes.generation - 1 }))
})
