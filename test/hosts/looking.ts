/** When a host looks, with what it was told and without. */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Looking } from '../../src/hosts/looking.ts'

function lookingOf(isAmiss = () => false) {
  const ended = new AbortController()
  const seen = { looks: 0, glances: 0 }
  const looking = new Looking(
    {
      prepare: async () => {},
      look: () => seen.looks++,
      glance: () => seen.glances++,
      isAmiss,
      restMs: () => 5,
    },
    ended.signal,
  )
  return { looking, seen, ended }
}

t.test('it looks once, and again when it is told; else it glances', async t => {
  const { looking, seen, ended } = lookingOf()
  const running = looking.run()
  await waitFor(() => seen.glances > 2, { what: 'some glances' })
  t.equal(seen.looks, 1)
  looking.due()
  looking.due()
  await waitFor(() => seen.looks > 1, { what: 'another look' })
  const { glances } = seen
  await waitFor(() => seen.glances > glances + 1, { what: 'glances go on' })
  t.equal(seen.looks, 2, 'for all who told of something')
  ended.abort()
  await running
})

t.test('it looks as long as something is amiss', async t => {
  let isAmiss = true
  const { looking, seen, ended } = lookingOf(() => isAmiss)
  const running = looking.run()
  await waitFor(() => seen.looks > 2, { what: 'some looks' })
  isAmiss = false
  const { looks, glances } = seen
  await waitFor(() => seen.glances > glances + 1, { what: 'glances' })
  t.equal(seen.looks, looks)
  ended.abort()
  await running
})

t.test('it ends at once', async t => {
  const { looking, seen, ended } = lookingOf()
  const running = looking.run()
  ended.abort()
  await running
  t.ok(seen.looks <= 1)
})
