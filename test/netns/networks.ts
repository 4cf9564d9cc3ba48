/**
 * Several networks: one container on two of them, and what each leaves to the other.
 *
 *     client eth0 ──── lan0 host ┬─ br-front 10.10.0.1 ── eth0 ┐
 *                                │                             ├ both
 *                                └─ br-back  10.20.0.1 ── eth1 ┘
 *                                      └─ behind
 */

import t from 'tap'
import { addressOf } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  const open = async () => {
    const scene = await Scene.open(backend, 'both', 'behind')
    const front = scene.network('front', 10)
    // The second network gives no default route: a container has one way out.
    const back = scene.network('back', 20, { isDefaultGateway: false, isGateway: true })
    return { scene, front, back, both: scene.get('both'), behind: scene.get('behind') }
  }
  const eth1 = { ifname: 'eth1' }
  const front8080 = { ports: [{ hostPort: 8080, containerPort: ANSWERS }] }
  const back8081 = { ...eth1, ports: [{ hostPort: 8081, containerPort: ANSWERS }] }

  t.test(
    `${backend}: a container on two networks reaches both, and keeps one when the other goes`,
    async t => {
      const { scene, front, back, both, behind } = await open()
      t.teardown(() => scene.close())
      // As go-cni does: all networks of a container at once.
      const [onFront, onBack] = await Promise.all([front.add(both, front8080), back.add(both, back8081)])
      const onlyBack = await back.add(behind)
      t.comment(`\n${scene.world.draw()}`)
      t.match(await both.ask('tcp', CLIENT[4], ANSWERS), { peer: HOST[4] })
      t.match(await both.ask('tcp', addressOf(onlyBack, 4), ANSWERS), { peer: addressOf(onBack, 4) })
      t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'both' })
      t.match(await scene.client.ask('tcp', HOST[6], 8080), { place: 'both' })

      await front.delete(both, { ...front8080, prevResult: onFront })
      await t.rejects(scene.client.ask('tcp', HOST[4], 8080, { withinMs: 200 }))
      t.match(await both.ask('tcp', addressOf(onlyBack, 6), ANSWERS), { peer: addressOf(onBack, 6) })
      await back.check(both, onBack, back8081)

      await back.delete(both, { ...back8081, prevResult: onBack })
      await back.delete(behind)
      t.strictSame(await scene.residue(), [])
    },
  )

  t.test(`${backend}: two networks may give the same container id the same interface name`, async t => {
    const { scene, front, back, both, behind } = await open()
    t.teardown(() => scene.close())
    const id = { containerId: 'same' }
    const onFront = await front.add(both, { ...id, ...front8080 })
    await back.add(behind, { ...id, ports: [{ hostPort: 8081, containerPort: ANSWERS }] })
    await back.delete(behind, id)
    await front.check(both, onFront, { ...id, ...front8080 })
    t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'both' })
    await front.delete(both, id)
    t.strictSame(await scene.residue(), [])
  })
}
