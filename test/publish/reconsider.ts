/** Who is judged anew when rules of others change; in a network namespace of nobody's rules. */

import t from 'tap'
import { Reconsidering } from '../../src/publish/upkeep/reconsider.ts'

const one = { id: 'a', natObstacle: 'a rule' }

t.test('what something else is done to when rules change is judged once that is over', async t => {
  const reconsidering = new Reconsidering()
  const judge = () => true
  t.same(
    reconsidering.changed(
      () => [one],
      () => false,
      judge,
    ),
    [],
    'busy',
  )
  t.same(
    reconsidering.changed(
      () => [one],
      () => true,
      judge,
    ),
    [one],
  )
  t.same(
    reconsidering.changed(
      () => [one],
      () => true,
      judge,
    ),
    [],
    'once',
  )
})

t.test('one that was another by then is judged again', async t => {
  const reconsidering = new Reconsidering()
  reconsidering.changed(
    () => [one],
    () => true,
    () => true,
  )
  reconsidering.again('a')
  t.same(
    reconsidering.changed(
      () => [one],
      () => true,
      () => false,
    ),
    [],
  )
  t.same(
    reconsidering.changed(
      () => [one],
      () => true,
      () => true,
    ),
    [],
  )
})
