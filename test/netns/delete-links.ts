/**
 * Links that are deleted at once share the kernel's wait, and nobody else waits with them.
 */

import t from 'tap'
import { disconnect, silence } from '../../src/bridge/disconnect.ts'
import { hostMac, hostNames } from '../../src/bridge/names.ts'
import { addBridge, addVeth } from '../../src/netlink/link/add.ts'
import { deleteLinks } from '../../src/netlink/link/delete.ts'
import { deleteLink, type Link, listLinks } from '../../src/netlink/link/link.ts'
import { openNetlink } from '../../src/netlink/netlink.ts'
import { type Kernel, kernel } from '../support/kernel.ts'
import { OWNER } from '../support/link-plan.ts'

type Trace = (equivalent: string) => void

const COUNT = 20

async function ports({ nl, namespace }: Kernel, name: string): Promise<Link[]> {
  const web = await namespace(name)
  const bridge = addBridge(nl, { name: `br-${name}`, up: true })
  return Array.from({ length: COUNT }, (_, i) =>
    addVeth(nl, {
      name: `${name}${i}`,
      up: true,
      master: bridge.index,
      peer: { name: `eth${i}`, netnsFd: web.netns.fd },
    }),
  )
}

t.test('many that go at once go in a fraction of the time, and all go', async t => {
  await using world = await kernel()
  const [single, together] = [await ports(world, 'single'), await ports(world, 'crowd')]
  const began = performance.now()
  for (const link of single) deleteLink(world.nl, link)
  const singleMs = performance.now() - began
  const sockets = together.map(() => world.host.inside(() => openNetlink()))
  const crowdBegan = performance.now()
  await Promise.all(together.map((link, i) => deleteLinks(sockets[i] ?? world.nl, [link])))
  const crowdMs = performance.now() - crowdBegan
  for (const socket of sockets) socket[Symbol.dispose]()
  t.comment(`${COUNT} links: ${singleMs.toFixed(0)} ms one by one, ${crowdMs.toFixed(0)} ms at once`)
  t.ok(crowdMs < singleMs / 2)
  t.same(
    listLinks(world.nl).map(({ name }) => name),
    ['lo', 'br-single', 'br-crowd'],
  )
})

t.test('while the kernel waits, this thread goes on', async t => {
  await using world = await kernel()
  const links = await ports(world, 'wait')
  let turns = 0
  const counting = setInterval(() => turns++, 1)
  const began = performance.now()
  await deleteLinks(world.nl, links)
  const waitedMs = performance.now() - began
  clearInterval(counting)
  t.comment(`${turns} turns of the event loop in ${waitedMs.toFixed(1)} ms`)
  t.ok(turns >= 2)
})

t.test('a link that goes by itself while it is taken down is no trouble', async t => {
  await using world = await kernel()
  const web = await world.namespace('web')
  const name = hostNames(OWNER)[0]
  const pair = { name, mac: hostMac(OWNER), up: true, peer: { name: 'eth0', netnsFd: web.netns.fd } }
  for (const step of [silence, (owner: string, trace: Trace) => disconnect({ owner }, trace)]) {
    const link = addVeth(world.nl, pair)
    let steps = 0
    // Found, and gone before anything is done to it: its namespace has ended, say.
    const goes = () => void (steps++ === 0 && deleteLink(world.nl, link))
    await world.host.inside(() => ({ done: step(OWNER, goes) })).done
    t.not(steps, 0)
  }
})

t.test('each namespace has deletions of its own', async t => {
  await using world = await kernel()
  const other = await world.namespace('other')
  for (const nl of [world.nl, other.nl]) addBridge(nl, { name: 'br0' })
  const bridges = [world.nl, other.nl].map(nl => ({ nl, link: listLinks(nl, { kind: 'bridge' }) }))
  await Promise.all(bridges.map(({ nl, link }) => deleteLinks(nl, link)))
  for (const nl of [world.nl, other.nl]) t.same(listLinks(nl, { kind: 'bridge' }), [])
})
