/**
 * A socket belongs for good to the namespace in which it was made, wherever it is used from.
 *
 * src/netns and src/netlink rest on it: a conversation is opened inside and used from outside.
 */

import t from 'tap'
import { addIfb } from '../../../src/netlink/link/add.ts'
import { listLinks } from '../../../src/netlink/link/link.ts'
import { openNetlink } from '../../../src/netlink/netlink.ts'
import { kernel } from '../../support/kernel.ts'

t.test('a netlink socket speaks with the namespace that it was opened in', async t => {
  await using world = await kernel()
  const [a, b] = [await world.namespace('a'), await world.namespace('b')]
  using nl = a.inside(() => openNetlink())
  const names = () => listLinks(nl).map(({ name }) => name)
  addIfb(nl, { name: 'in-a' })
  t.strictSame(names(), ['lo', 'in-a'])
  t.strictSame(b.inside(names), ['lo', 'in-a'], 'also when it is used from within another one')
  t.strictSame(
    listLinks(b.nl).map(({ name }) => name),
    ['lo'],
  )
})

t.test('a socket keeps its namespace when the path and all processes are gone', async t => {
  await using world = await kernel()
  const a = await world.namespace('a')
  using nl = a.inside(() => openNetlink())
  addIfb(nl, { name: 'in-a' })
  await a.remove()
  t.strictSame(
    listLinks(nl).map(({ name }) => name),
    ['lo', 'in-a'],
  )
})
