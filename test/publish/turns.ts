/** Work about one thing takes turns; work about others does not wait. */

import t from 'tap'
import { Turns } from '../../src/publish/turns.ts'

t.test('turns of one key come in order, whatever became of those before', async t => {
  const turns = new Turns()
  const seen: string[] = []
  let open = () => {}
  const gate = new Promise<void>(resolve => {
    open = resolve
  })
  const first = turns.take('a', async () => {
    await gate
    seen.push('first')
    throw new Error('in vain')
  })
  const second = turns.take('a', async () => seen.push('second'))
  await turns.take('b', async () => seen.push('another'))
  open()
  await t.rejects(first, { message: 'in vain' })
  await second
  t.strictSame(seen, ['another', 'first', 'second'])
})
