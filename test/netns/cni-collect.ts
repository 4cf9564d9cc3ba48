/**
 * What CNI 1.1.0 asks of GC and STATUS and only a kernel can tell; test/cni/spec.ts asks the rest. The
 * section in a name is that of the spec's text.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { tryLockFile } from '../../src/ffi/lock.ts'
import { ownerTag } from '../../src/model/network.ts'
import { linkNames } from '../support/kernel-links.ts'
import type { Result } from '../support/libcni.ts'
import { openings } from '../support/openings.ts'
import { addressOf } from '../support/plugin.ts'
import { BACKENDS, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

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

t.test('GC waits for who looks at what is complete, and leaves alone what is made', async t => {
  const { scene, front } = await open('a')
  const [a, { host }] = [scene.get('a'), scene]
  const owner = ownerTag({ network: 'front', containerId: 'a', ifname: 'eth0' })
  const record = host.path(`/run/tsnet/attachments/${owner}.json`)
  const edit = (pattern: RegExp, text: string) =>
    writeFileSync(record, readFileSync(record, 'utf8').replace(pattern, text))
  const hold = () => {
    const path = host.path(`/run/tsnet/${owner}.lock`)
    return { path, lock: tryLockFile(path, { removeAfter: true }) }
  }
  /** Lets go when GC has come to it. */
  const collectLate = async (meanwhile = () => {}) => {
    const { path, lock } = hold()
    using opens = openings(path)
    const collected = front.collect([])
    await waitFor(() => opens.happened(), { what: 'GC to ask for the lock' })
    meanwhile()
    lock?.[Symbol.dispose]()
    await collected
  }

  await front.add(a)
  await collectLate(() => edit(/(?<="createdAt":")\d/, '3'))
  t.same(await linkNames(a), ['eth0'], 'it was made anew meanwhile')
  edit(/"attached"/, '"attaching"')
  const { lock } = hold()
  await front.collect([])
  lock?.[Symbol.dispose]()
  t.same(await linkNames(a), ['eth0'], 'somebody makes it')
  edit(/"attaching"/, '"attached"')
  await collectLate()
  t.same(await linkNames(a), [], 'somebody has only looked at it')
  t.same(await scene.residue(), [])
})

t.test('GC takes what killed processes left, and nothing of who is at work', async t => {
  const { scene, front } = await open('a')
  const kept = await front.add(scene.get('a'))
  const below = (name: string) => scene.host.path(`/run/tsnet/${name}`)
  const left = ['ports/tcp-9.json.tmp', 'attachments/0123456789abcdef.json.tmp', '0123456789abcdef.lock']
  mkdirSync(below('ports'), { recursive: true })
  for (const name of left) writeFileSync(below(name), '')
  const lock = tryLockFile(below('fedcba9876543210.lock'), { removeAfter: true })
  await front.collect(['a'])
  t.strictSame(
    left.filter(name => existsSync(below(name))),
    [],
  )
  t.ok(existsSync(below('fedcba9876543210.lock')), 'somebody holds it')
  lock?.[Symbol.dispose]()
  await front.check(scene.get('a'), kept)
  await front.delete(scene.get('a'))
  t.same(await scene.residue(), [])
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

for (const backend of BACKENDS) {
  t.test(
    `${backend}: whom no record knows is not counted any more, so the last takes along what all share`,
    async t => {
      const scene = await Scene.open(backend, 'a', 'b')
      t.teardown(() => scene.close())
      const front = scene.network('front', 10)
      const users = (verb: string) =>
        scene.host.run(
          'sh',
          '-c',
          `cd /run/tsnet/users; for each in nat-* forwarding; do ${verb} $each/0123456789abcdef; done`,
        )
      await front.add(scene.get('a'))
      await users('touch')
      await front.delete(scene.get('a'))
      t.match((await scene.differences()).join(), /tsnet/i, 'the control: it counts')
      const kept = await front.add(scene.get('a'))
      await front.collect(undefined)
      await front.check(scene.get('a'), kept)
      await front.delete(scene.get('a'))
      t.same(await scene.residue(), [])
    },
  )
}
