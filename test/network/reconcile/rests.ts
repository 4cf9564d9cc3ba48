/** When something that was put back again and again is put back once more. */

import t from 'tap'
import { Rests } from '../../../src/network/reconcile/rests.ts'

t.test('a few times at once, then after pauses that double up to a minute', async t => {
  let now = 0
  const rests = new Rests(() => now)
  const said: string[] = []
  const pauses: number[] = []
  for (let i = 0; i < 16; i++) {
    said.push(rests.wasMended('rules'))
    const pause = rests.restMs('rules')
    pauses.push(pause)
    now += pause + 1
  }
  t.strictSame(
    pauses,
    [0, 0, 0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 51_200, 60_000, 60_000, 60_000],
  )
  t.strictSame(said, ['few', 'few', 'few', 'too-many', ...Array.from({ length: 12 }, () => 'many')])
  t.equal(rests.restMs('bridge cni0'), 0, 'another subject is another matter')
})

t.test('once it was left alone for a while, it is put back at once again', async t => {
  let now = 0
  const rests = new Rests(() => now)
  for (let i = 0; i < 6; i++) {
    rests.wasMended('rules')
    now += rests.restMs('rules') + 1
  }
  now += 5_001
  t.equal(rests.restMs('rules'), 0)
  t.equal(rests.wasMended('rules'), 'few')
  t.equal(rests.restMs('rules'), 0)
})
