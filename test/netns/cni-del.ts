/**
 * What CNI 1.1.0 asks of DEL and only a kernel can tell; test/cni/spec.ts asks the rest. The
 * section in a name is that of the spec's text.
 */

import t from 'tap'
import { linkNames } from '../support/kernel-links.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(240_000)

const open = async (...containers: string[]) => {
  const scene = await Scene.open('nftables', ...containers)
  t.teardown(() => scene.close())
  return { scene, front: scene.network('front', 10) }
}

t.test('section 2, DEL: succeeds as often as one likes', async t => {
  const { scene, front } = await open('a')
  const prevResult = await front.add(scene.get('a'))
  for (const options of [{ prevResult }, { prevResult }, {}]) await front.delete(scene.get('a'), options)
  t.strictSame(await scene.residue(), [])
})

t.test('section 2, DEL: succeeds when the interface is gone', async t => {
  const { scene, front } = await open('a')
  const prevResult = await front.add(scene.get('a'))
  await scene.get('a').run('ip', 'link', 'delete', 'eth0')
  await front.delete(scene.get('a'), { prevResult })
  t.strictSame(await scene.residue(), [])
})

t.test('section 2, DEL: succeeds when the namespace is gone, named or not', async t => {
  for (const netns of ['/run/netns/a', '']) {
    const { scene, front } = await open('a')
    await front.add(scene.get('a'))
    await scene.get('a').remove()
    await front.delete('a', { netns })
    t.strictSame(
      (await scene.residue()).filter(line => !/ (a|\/run\/netns\/a) /.test(line)),
      [],
      netns,
    )
  }
})

t.test('section 2, DEL: succeeds when nothing was ever added, or ADD failed', async t => {
  const { scene, front } = await open('a')
  await front.delete(scene.get('a'))
  await t.rejects(front.add(scene.get('a'), { config: { bridge: 'lan0' } }))
  await front.delete(scene.get('a'), { config: { bridge: 'lan0' } })
  t.strictSame(await scene.residue(), [])
})

t.test(
  'section 2, DEL: takes one interface of one network, and leaves the others of the container',
  async t => {
    const { scene, front } = await open('a')
    const back = scene.network('back', 11)
    const a = scene.get('a')
    await front.add(a, { ifname: 'eth0' })
    const kept = await front.add(a, { ifname: 'eth1' })
    await back.add(a, { ifname: 'eth2' })
    await front.delete(a, { ifname: 'eth0' })
    t.same((await linkNames(scene.get('a'))).sort(), ['eth1', 'eth2'])
    await front.check(a, kept, { ifname: 'eth1' })
    await back.delete(a, { ifname: 'eth1' })
    t.same((await linkNames(scene.get('a'))).sort(), ['eth1', 'eth2'], 'eth1 is not of that network')
  },
)
