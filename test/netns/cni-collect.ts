/**
 * What CNI 1.1.0 asks of GC and STATUS and only a kernel can tell; test/cni/spec.ts asks the rest. The
 * section in a name is that of the spec's text.
 */

import { existsSync, readdirSync } from 'node:fs'
import t from 'tap'
import { linkNames } from '../support/kernel-links.ts'
import type { Result } from '../support/libcni.ts'
import { addressOf } from '../support/plugin.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(300_000)

const open = async (...containers: string[]) => {
  const scene = await Scene.open('nftables', ...containers)
  t.teardown(() => scene.close())
  return { scene, front: scene.network('front', 10) }
}

t.test('section 2, GC: takes what is not valid on this network, and nothing of another', async t => {
  const { scene, front } = await open('a', 'b')
  const back = scene.network('back', 11)
  const [a, b] = [scene.get('a'), scene.get('b')]
  const kept = await front.add(a)
  await front.add(b)
  const other = await back.add(b, { ifname: 'eth1' })
  await front.collect(['a'])
  await front.check(a, kept)
  await back.check(b, other, { ifname: 'eth1' })
  t.same(await linkNames(scene.get('b')), ['eth1'])
  t.same(
    readdirSync(scene.host.path('/var/lib/cni/networks/front')).filter(name => name.startsWith('10.')),
    [addressOf(kept, 4)],
  )
})

t.test('section 2, GC: without a list only what is provably dead goes', async t => {
  const { scene, front } = await open('a', 'b')
  const kept = await front.add(scene.get('a'))
  const dead = await front.add(scene.get('b'))
  await scene.get('b').remove()
  await front.collect(undefined)
  await front.check(scene.get('a'), kept)
  const lease = (result: Result) => scene.host.path(`/var/lib/cni/networks/front/${addressOf(result, 4)}`)
  t.ok(existsSync(lease(kept)))
  t.notOk(existsSync(lease(dead)))
})

t.test('section 2, STATUS: says 50 when no address is left, and nothing when one is', async t => {
  const { scene } = await open('a', 'b')
  const ipam = { type: 'host-local', ranges: [[{ subnet: '10.10.0.0/29', rangeEnd: '10.10.0.2' }]] }
  const front = scene.network('front', 10, { ipam })
  await front.status()
  await front.add(scene.get('a'))
  await t.rejects(front.status(), { code: 50, message: /address/ })
  await t.rejects(front.add(scene.get('b')), { code: 100, message: /no IP addresses available/ })
  await front.delete(scene.get('a'))
  await front.status()
})
