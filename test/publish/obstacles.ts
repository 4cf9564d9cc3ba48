import t from 'tap'
import { Obstacles } from '../../src/publish/obstacles.ts'

t.test('a reason is news once, until it is another or was overcome', async t => {
  const obstacles = new Obstacles()
  t.equal(obstacles.meet('a', new Error('busy')), 'busy')
  t.equal(obstacles.meet('a', new Error('busy')), undefined)
  t.equal(obstacles.why('a'), 'busy')
  t.equal(obstacles.meet('b', new Error('in use by nginx (pid 7)')), 'in use by nginx (pid 7)')
  t.equal(obstacles.meet('b', new Error('in use by nginx (pid 8)')), undefined, 'whatever its numbers')
  t.equal(obstacles.why('b'), 'in use by nginx (pid 8)')
  obstacles.overcome('b')
  t.equal(obstacles.meet('a', new AggregateError([new Error('gone'), new Error('short')])), 'gone; short')
  t.same(obstacles.ids, ['a'])
  t.equal(obstacles.overcome('a'), true)
  t.equal(obstacles.overcome('a'), false)
  t.equal(obstacles.why('a'), undefined)
  t.equal(obstacles.meet('a', new Error('busy')), 'busy')
})

t.test('what lasts is tried again after a quarter of its time, from one second to fifteen', async t => {
  let now = 0
  const obstacles = new Obstacles(() => now)
  const tries: number[] = []
  for (; now <= 120_000; now += 100) {
    if (obstacles.isResting('a')) continue
    tries.push(now)
    obstacles.meet('a', new Error('busy'))
  }
  t.same(tries.slice(0, 6), [0, 1000, 2000, 3000, 4000, 5000])
  const pauses = tries.slice(1).map((each, i) => each - (tries[i] ?? 0))
  t.same(
    pauses,
    pauses.toSorted((a, b) => a - b),
    'never shorter than before',
  )
  t.equal(pauses.at(-1), 15_000)
  t.equal(obstacles.isResting('b'), false, 'and what nothing is in the way of does not rest')
})
