/**
 * Queueing disciplines against the real kernel, compared with what tc makes and prints.
 */

import t from 'tap'
import { addIfb, addVeth } from '../../src/netlink/link/add.ts'
import { deleteLink } from '../../src/netlink/link/link.ts'
import { addRedirect, listIngressFilters } from '../../src/netlink/qdisc/filter.ts'
import {
  addIngress,
  addTokenBucket,
  burstAsListed,
  deleteQdisc,
  listQdiscs,
} from '../../src/netlink/qdisc/qdisc.ts'
import { kernel } from '../support/kernel.ts'

t.test('a token bucket is the one that tc makes of the same words', async t => {
  await using first = await kernel()
  await using second = await kernel()
  for (const { nl } of [first, second]) addVeth(nl, { name: 'v0', peer: { name: 'p0' } })
  for (const bucket of [
    { rate: 125_000, burst: 20_000, limit: 23_125 },
    { rate: 1_250_000_000, burst: 2_000_000, limit: 40_000_000 },
    { rate: 5_000_000_000, burst: 2_000_000, limit: 200_000_000 },
  ]) {
    const link = addIfb(first.nl, { name: `ifb${bucket.rate}` })
    addIfb(second.nl, { name: link.name })
    first.commands.length = 0
    addTokenBucket(first.nl, link, bucket)
    await second.host.run('sh', '-ec', first.commands.join('\n'))
    const [ours] = await first.json('tc', '-j', 'qdisc', 'show', 'dev', link.name)
    const [theirs] = await second.json('tc', '-j', 'qdisc', 'show', 'dev', link.name)
    t.match(ours, { kind: 'tbf', handle: '1:', root: true, options: { rate: bucket.rate } })
    t.strictSame(ours, theirs)
    const read = listQdiscs(first.nl, { link })
    t.match(read, [{ kind: 'tbf', tbf: { rate: bucket.rate, limit: bucket.limit } }])
    const oneTick = (bucket.rate * 64) / 1e9
    t.ok(Math.abs((read[0]?.tbf?.burst ?? 0) - burstAsListed(bucket)) <= oneTick + 1)
  }
})

t.test('what a link receives is redirected as tc would do it', async t => {
  await using first = await kernel()
  await using second = await kernel()
  const shown: unknown[] = []
  for (const world of [first, second]) {
    const { nl, commands } = world
    const link = addVeth(nl, { name: 'v0', peer: { name: 'p0' } })
    const target = addIfb(nl, { name: 'ifb9' })
    commands.length = 0
    if (world === first) {
      t.strictSame(listIngressFilters(nl, link), [])
      addIngress(nl, link)
      addRedirect(nl, link, target)
      t.throws(() => addIngress(nl, link), { code: 'EEXIST' })
    } else {
      await world.host.run('sh', '-ec', first.commands.slice(0, 2).join('\n'))
    }
    t.ok(listIngressFilters(nl, link).some(({ redirectIndex }) => redirectIndex === target.index))
    t.match(
      listQdiscs(nl, { link }).find(({ kind }) => kind === 'ingress'),
      { handle: 0xffff0000, parent: 0xfffffff1 },
    )
    const { stdout } = await world.host.run('tc', 'filter', 'show', 'dev', 'v0', 'ingress')
    shown.push(stdout)
    t.match(stdout, /mirred \(Egress Redirect to device ifb9\) stolen/)
  }
  t.equal(shown[0], shown[1])
})

t.test('qdiscs go by where they are, once, and with their link', async t => {
  await using world = await kernel()
  const { nl } = world
  const link = addVeth(nl, { name: 'v0', peer: { name: 'p0' } })
  const bucket = { rate: 125_000, burst: 20_000, limit: 23_125 }
  addTokenBucket(nl, link, bucket)
  addIngress(nl, link)
  t.throws(() => addTokenBucket(nl, link, bucket), { code: 'EEXIST' })
  deleteQdisc(nl, link, 'root')
  deleteQdisc(nl, link, 'ingress')
  t.throws(() => deleteQdisc(nl, link, 'root'), { code: 'ENOENT' })
  t.throws(() => deleteQdisc(nl, link, 'ingress'), { code: 'ENOENT' })
  addTokenBucket(nl, link, bucket)
  deleteLink(nl, link)
  t.throws(() => deleteQdisc(nl, link, 'root'), { code: 'ENODEV' })
  t.throws(() => addTokenBucket(nl, link, bucket), { code: 'ENODEV' })
})

t.test('a bucket that holds nothing is refused by the kernel', async t => {
  await using world = await kernel()
  const link = addIfb(world.nl, { name: 'ifb9' })
  t.throws(() => addTokenBucket(world.nl, link, { rate: 125_000, burst: 0, limit: 1000 }), { code: 'EINVAL' })
})
