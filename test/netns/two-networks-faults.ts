/**
 * A container on two networks with the same ports, when calls meet, are killed, or are never made: nobody is left
 * without the port, and nothing is left in the end.
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { answering } from '../support/reach.ts'
import { HOST, Scene } from '../support/scene.ts'
import { Joining, KEPT, type Kind, killedAfter, prepare } from '../support/two-networks.ts'

t.setTimeout(600_000) // on a busy machine

const KINDS: [Kind, Kind][] = [
  ['tsnet/iptables', 'tsnet/iptables'],
  ['tsnet/nftables', 'tsnet/nftables'],
  ['chain/iptables', 'tsnet/nftables'],
]

async function open(t: Test, [first, second]: [Kind, Kind]) {
  const scene = await Scene.open(first.endsWith('nftables') ? 'nftables' : 'iptables', 'web')
  t.teardown(() => scene.close())
  await prepare(scene)
  await scene.remember()
  const web = scene.get('web')
  const [one, two] = [new Joining(scene, first, 1, web), new Joining(scene, second, 2, web)]
  return { scene, one, two, isAnswered: () => answering(scene.client, 'tcp', HOST[4], 8080) }
}

const nothingOurs = async (t: Test, scene: Scene, when: string) =>
  t.strictSame(await scene.residue(line => !KEPT.test(line)), [], when)

for (const kinds of KINDS) {
  const how = kinds.join(' and ')

  t.test(
    `${how}: killed at any moment, a call leaves what the next DEL takes down, and the port to the other`,
    async t => {
      const { scene, one, two, isAnswered } = await open(t, kinds)
      for (const ms of [80, 200]) {
        await one.add()
        await two.add(killedAfter(scene, ms)).catch(() => {})
        t.equal(await isAnswered(), 'web', `ADD of the second killed after ${ms} ms`)
        await two.deleteAgain()
        t.equal(await isAnswered(), 'web')
        await two.add()
        await one.delete(killedAfter(scene, ms)).catch(() => {})
        await one.deleteAgain()
        await two.check()
        t.equal(await isAnswered(), 'web', `DEL of the first killed after ${ms} ms`)
        await two.deleteAgain()
        await nothingOurs(t, scene, `${ms} ms`)
      }
    },
  )

  t.test(`${how}: calls that meet leave the port to whoever stays`, async t => {
    const { scene, one, two, isAnswered } = await open(t, kinds)
    for (const [goes, stays] of [
      [one, two],
      [two, one],
    ] as const) {
      await Promise.all([one.add(), two.add()])
      for (const each of [one, two]) await each.check()
      await goes.delete()
      await stays.check()
      t.equal(await isAnswered(), 'web')
      await Promise.all([goes.add(), stays.delete()])
      await goes.check()
      t.equal(await isAnswered(), 'web', 'one came when the other went')
      await Promise.all([goes.delete(), stays.deleteAgain()])
      await nothingOurs(t, scene, 'both went at once')
    }
  })
}

t.test('two interfaces on one network are two attachments as well', async t => {
  for (const kind of ['tsnet/nftables', 'chain/iptables', 'chain/nftables'] as const) {
    const { scene, one, isAnswered } = await open(t, [kind, kind])
    const other = new Joining(scene, kind, 1, scene.get('web'), { ifname: 'net1' })
    await one.add()
    await other.add()
    for (const each of [one, other]) await each.check()
    await one.delete()
    await other.check()
    t.equal(await isAnswered(), 'web', kind)
    await other.delete()
    await nothingOurs(t, scene, kind)
  }
})

t.test('what an earlier life of the container had on another network keeps it from nothing', async t => {
  for (const kinds of KINDS.slice(0, 2)) {
    const { scene, one, two, isAnswered } = await open(t, kinds)
    await one.add()
    await two.add()
    await scene.get('web').remove()
    const reborn = await scene.container('web')
    const isRebirth = /^mount \/run\/netns\/web /
    const again = new Joining(scene, kinds[0], 1, reborn)
    await again.add()
    await waitFor(async () => (await isAnswered()) === 'web', { what: 'an answer' })
    await again.delete()
    await two.deleteAgain()
    t.strictSame(await scene.residue(line => !KEPT.test(line) && !isRebirth.test(line)), [], kinds.join())
  }
})
