/**
 * One RTM_DELLINK with IFLA_GROUP removes every link of the group, in one wait for the kernel.
 *
 * The tear-down of src/bridge and src/network rests on it where several links go at once.
 */

import t from 'tap'
import { addBridge, addIfb, addVeth } from '../../../src/netlink/link/add.ts'
import { deleteLink, deleteLinkGroup, listLinks } from '../../../src/netlink/link/link.ts'
import { type Kernel, kernel } from '../../support/kernel.ts'

const COUNT = 20

/** Ports of a bridge, their far ends in another namespace. */
async function ports({ nl, namespace }: Kernel, group: number) {
  const web = await namespace(`group-${group}`)
  const bridge = addBridge(nl, { name: `br${group}`, up: true })
  const links = Array.from({ length: COUNT }, (_, i) =>
    addVeth(nl, {
      name: `v${group}-${i}`,
      group,
      up: true,
      master: bridge.index,
      peer: { name: `eth${i}`, netnsFd: web.netns.fd },
    }),
  )
  return { web, links }
}

function msOf(work: () => void): number {
  const began = performance.now()
  work()
  return performance.now() - began
}

t.test('a group goes as a whole, with the far ends, and nothing else goes', async t => {
  await using world = await kernel()
  const { web } = await ports(world, 42)
  addIfb(world.nl, { name: 'ifb9', group: 42 })
  addIfb(world.nl, { name: 'other', group: 43 })
  deleteLinkGroup(world.nl, 42)
  t.strictSame(
    listLinks(world.nl).map(({ name }) => name),
    ['lo', 'br42', 'other'],
  )
  t.equal(listLinks(web.nl).length, 1)
})

t.test('a group goes in much less time than its members one by one', async t => {
  await using world = await kernel()
  const { links } = await ports(world, 1)
  await ports(world, 2)
  const oneByOneMs = msOf(() => {
    for (const link of links) deleteLink(world.nl, link)
  })
  const togetherMs = msOf(() => deleteLinkGroup(world.nl, 2))
  t.comment(`${COUNT} links: ${oneByOneMs.toFixed(0)} ms one by one, ${togetherMs.toFixed(0)} ms together`)
  t.ok(togetherMs < oneByOneMs / 2)
})
