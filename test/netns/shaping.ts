/**
 * Shaping on the real kernel: what is set up, what is taken down, and whether the rates hold.
 */

import t from 'tap'
import type { Host, Namespace } from 'tsnet/lab'
import type { Bandwidth } from '../../src/model/network.ts'
import { Undo, withUndo } from '../../src/model/undo.ts'
import { addIfb, addVeth } from '../../src/netlink/link/add.ts'
import { changeLink, deleteLink, getLink, listLinks } from '../../src/netlink/link/link.ts'
import { listIngressFilters } from '../../src/netlink/qdisc/filter.ts'
import { addTokenBucket, deleteQdisc, listQdiscs } from '../../src/netlink/qdisc/qdisc.ts'
import { shape, unshape, verifyShaping } from '../../src/shaping/shaping.ts'
import { type Kernel, kernel } from '../support/kernel.ts'

const ifb = 'bwp0123456789ab'
const MBIT = 1_000_000
const bandwidth: Bandwidth = {
  ingressRate: 8 * MBIT,
  ingressBurst: 256_000,
  egressRate: 16 * MBIT,
  egressBurst: 512_000,
}
const target = { hostInterface: 'v0', mtu: 1500, bandwidth, ifb }
const none: Bandwidth = { ingressRate: 0, ingressBurst: 0, egressRate: 0, egressBurst: 0 }

/** A host and a container on it, joined by v0 and eth0. */
async function joined(world: Kernel): Promise<{ host: Host; web: Namespace }> {
  const web = await world.namespace('web')
  addVeth(world.nl, { name: 'v0', up: true, peer: { name: 'eth0', netnsFd: web.netns.fd } })
  changeLink(web.nl, getLink(web.nl, { name: 'eth0' }), { up: true })
  world.host.address('v0', '10.1.0.1/24')
  web.address('eth0', '10.1.0.2/24')
  return { host: world.host, web }
}

/** Everything that shaping touches. */
const touched = ({ nl }: Kernel) => ({
  links: listLinks(nl).map(({ name }) => name),
  qdiscs: listQdiscs(nl).map(({ index, kind }) => [index, kind]),
  filters: listIngressFilters(nl, getLink(nl, { name: 'v0' })),
})

t.test('both directions are shaped as tc shows it, and all of it can be taken back', async t => {
  await using world = await kernel()
  await joined(world)
  const before = touched(world)
  const undo = new Undo()
  const made = shape(world.nl, target, undo)
  t.match(made, { name: ifb, mtu: 1500, mac: /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/ })
  t.strictSame(verifyShaping(world.nl, target), [])
  const [towards] = await world.json('tc', '-j', 'qdisc', 'show', 'dev', 'v0', 'root')
  const [from] = await world.json('tc', '-j', 'qdisc', 'show', 'dev', ifb, 'root')
  t.match(towards, { kind: 'tbf', options: { rate: MBIT, burst: 32_000, lat: 25_000 } })
  t.match(from, { kind: 'tbf', options: { rate: 2 * MBIT, burst: 64_000, lat: 25_000 } })
  t.strictSame(await undo.rollback(), [])
  t.strictSame(touched(world), before)
})

t.test('one direction alone is shaped alone, and none at all leaves everything as it was', async t => {
  await using world = await kernel()
  await joined(world)
  const before = touched(world)
  const undo = new Undo()
  t.equal(shape(world.nl, { ...target, bandwidth: none }, undo), undefined)
  t.strictSame(touched(world), before)
  t.strictSame(verifyShaping(world.nl, { ...target, bandwidth: none }), [])

  const inward = { ...target, bandwidth: { ...none, ingressRate: MBIT, ingressBurst: MBIT } }
  t.equal(shape(world.nl, inward, undo), undefined)
  t.strictSame(verifyShaping(world.nl, inward), [])
  t.notOk(listLinks(world.nl).some(({ kind }) => kind === 'ifb'))
  await undo.rollback()

  const outward = { ...target, bandwidth: { ...none, egressRate: MBIT, egressBurst: MBIT } }
  t.match(shape(world.nl, outward, undo), { name: ifb })
  t.strictSame(verifyShaping(world.nl, outward), [])
  t.notOk(
    listQdiscs(world.nl, { link: getLink(world.nl, { name: 'v0' }) }).some(({ kind }) => kind === 'tbf'),
  )
  await undo.rollback()
  t.strictSame(touched(world), before)
})

t.test('a set-up that fails on its way leaves nothing', async t => {
  await using world = await kernel()
  await joined(world)
  const foreign = addIfb(world.nl, { name: 'foreign' })
  const link = getLink(world.nl, { name: 'v0' })
  addTokenBucket(world.nl, link, { rate: 1000, burst: 5000, limit: 5000 })
  const before = touched(world)
  await t.rejects(
    withUndo(async undo => shape(world.nl, target, undo)),
    { code: 'conflict', message: /v0 is limited already, to 8000 bit/ },
    'the root qdisc belongs to somebody else',
  )
  t.strictSame(touched(world), before)
  deleteQdisc(world.nl, link, 'root')

  deleteLink(world.nl, foreign)
  addIfb(world.nl, { name: 'squatter' })
  changeLink(world.nl, getLink(world.nl, { name: 'squatter' }), { name: ifb })
  await t.rejects(
    withUndo(async undo => {
      shape(world.nl, target, undo)
      throw new Error('later')
    }),
    /later/,
    'a left-over of ours gives way, and the new one goes with the rest of what was set up',
  )
  t.strictSame(
    listLinks(world.nl).map(({ name }) => name),
    ['lo', 'v0'],
  )
  t.notOk(listQdiscs(world.nl, { link }).some(({ kind }) => kind !== 'noqueue'))
  await t.rejects(
    withUndo(async undo => shape(world.nl, { ...target, hostInterface: 'gone' }, undo)),
    { code: 'ENODEV' },
  )
})

t.test('taking down needs the name only, and works any number of times', async t => {
  await using world = await kernel()
  await joined(world)
  shape(world.nl, target, new Undo())
  shape(world.nl, { ...target, hostInterface: 'v0', ifb: 'bwpffffffffffff', bandwidth: none }, new Undo())
  deleteLink(world.nl, getLink(world.nl, { name: 'v0' }))
  unshape(world.nl, ifb)
  unshape(world.nl, ifb)
  t.strictSame(
    listLinks(world.nl).map(({ name }) => name),
    ['lo'],
  )
})

t.test('what merely has the name of an ifb of ours is left alone', async t => {
  await using world = await kernel()
  addVeth(world.nl, { name: ifb, peer: { name: 'p0' } })
  unshape(world.nl, ifb)
  t.ok(listLinks(world.nl).some(({ name }) => name === ifb))
})

t.test('the check finds every difference at once', async t => {
  await using world = await kernel()
  await joined(world)
  const { nl } = world
  const link = getLink(nl, { name: 'v0' })
  const verify = () => verifyShaping(nl, target)
  shape(nl, target, new Undo())
  const shaper = getLink(nl, { name: ifb })
  deleteQdisc(nl, link, 'root')
  addTokenBucket(nl, link, { rate: 2 * MBIT, burst: 32_000, limit: 100_000 })
  deleteQdisc(nl, link, 'ingress')
  deleteQdisc(nl, shaper, 'root')
  changeLink(nl, shaper, { up: false })
  t.match(verify(), [
    'rate of v0 is 2000000 bytes instead of 1000000',
    'limit of v0 is 100000 bytes instead of 57000',
    `interface ${ifb} is down`,
    `what v0 receives is not redirected to ${ifb}`,
    `interface ${ifb} has no token bucket but `,
  ])
  deleteLink(nl, shaper)
  t.match(verify(), [/rate/, /limit/, `interface ${ifb} is gone`])
  addVeth(nl, { name: ifb, peer: { name: 'p0' } })
  t.match(verify(), [/rate/, /limit/, `interface ${ifb} is no ifb but veth`])
  deleteLink(nl, link)
  t.strictSame(verify(), ['interface v0 is gone'])
})

const BYTES = 600_000
const page = 'x'.repeat(BYTES)

/** How long a page of 600 kB takes, by whom it is fetched. */
async function fetchMs(by: Host | Namespace, address: string): Promise<number> {
  const began = performance.now()
  const { body } = await by.fetch(`http://${address}/`, { withinMs: 20_000 })
  if (body.length !== BYTES) throw new Error(`${body.length} bytes came`)
  return performance.now() - began
}

t.test('the rates hold in both directions, and only for what is shaped', async t => {
  await using world = await kernel()
  const { host, web } = await joined(world)
  host.serveHttp(80, page)
  web.serveHttp(80, page)
  const towardsMs = () => fetchMs(web, '10.1.0.1')
  const fromMs = () => fetchMs(host, '10.1.0.2')
  for (const warmUp of [towardsMs, fromMs]) await warmUp()
  const control = [await towardsMs(), await fromMs()]

  shape(world.nl, target, new Undo())
  // 600 kB less a bucket of 32 kB at 1 MB a second, and less one of 64 kB at 2 MB a second.
  const shaped = [await towardsMs(), await fromMs()]
  t.comment(
    `towards ${shaped[0]?.toFixed(0)} ms, from ${shaped[1]?.toFixed(0)} ms, unshaped ${control.map(Math.round)}`,
  )
  const within = (ms: number | undefined, ideal: number) =>
    ms !== undefined && ms > ideal * 0.9 && ms < ideal * 4
  t.ok(within(shaped[0], 568), 'towards the container')
  t.ok(within(shaped[1], 268), 'from the container')
  t.ok(
    control.every((ms, i) => ms < (shaped[i] ?? 0) / 2),
    'without shaping it is quick',
  )
})

t.test('a burst below one frame does not stop everything', async t => {
  await using world = await kernel()
  const { web } = await joined(world)
  world.host.serveHttp(80, page)
  shape(world.nl, { ...target, bandwidth: { ...bandwidth, ingressBurst: 8, egressBurst: 8 } }, new Undo())
  t.ok((await fetchMs(web, '10.1.0.1')) > 500)
})

t.test('a bucket smaller than a frame lets nothing large through', async t => {
  await using world = await kernel()
  const { web } = await joined(world)
  world.host.serveHttp(80, page)
  addTokenBucket(world.nl, getLink(world.nl, { name: 'v0' }), { rate: MBIT, burst: 1000, limit: 50_000 })
  await t.rejects(web.fetch('http://10.1.0.1/', { withinMs: 1000 }), { code: 'ETIMEDOUT' })
})
