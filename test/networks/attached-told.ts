/** Who is attached, as a daemon tells it. */

import t from 'tap'
import { TsnetError } from '../../src/model/errors.ts'
import { toldAttached } from '../../src/networks/attached.ts'

const asking = (answer: () => unknown) => ({ ask: async () => answer() })

t.test('the daemon tells it, and where it does not it is left to whoever reads records', async t => {
  t.same(await toldAttached(asking(() => [{ name: 'web' }])), [{ name: 'web' }])
  t.equal(await toldAttached(undefined), undefined)
  const refuses = asking(() => {
    throw new TsnetError('conflict', 'an earlier one')
  })
  t.equal(await toldAttached(refuses), undefined)
})

t.test('a fault of ours is not taken for a daemon that does not tell', async t => {
  const fails = asking(() => {
    throw new TypeError('a fault')
  })
  await t.rejects(toldAttached(fails), TypeError)
})
