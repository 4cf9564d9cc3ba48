/**
 * Many at once, and one after the other in the same place.
 *
 *     client eth0 ──── lan0 host ── br-front 10.10.0.1 fd10::1 ┬─ c1
 *                                                              ├─ …
 *                                                              └─ c20
 */

import t from 'tap'
import type { Result } from '../support/libcni.ts'
import { addressOf } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `c${i + 1}`)

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  t.test(
    `${backend}: twenty ADDs at once give twenty addresses, twenty DELs at once leave nothing`,
    async t => {
      const scene = await Scene.open(backend, ...names(20))
      t.teardown(() => scene.close())
      const front = scene.network('front', 10)
      const containers = names(20).map(name => scene.get(name))
      const portOf = (i: number) => [{ hostPort: 8001 + i, containerPort: ANSWERS }]
      const results = await Promise.all(containers.map((one, i) => front.add(one, { ports: portOf(i) })))
      for (const family of [4, 6] as const) {
        t.equal(new Set(results.map(result => addressOf(result, family))).size, 20)
      }
      for (const [i, container] of containers.entries()) {
        const { place } = await scene.client.ask('tcp', HOST[4], 8001 + i)
        t.equal(place, container.name)
      }
      await Promise.all(containers.map((one, i) => front.delete(one, { ports: portOf(i) })))
      t.strictSame(await scene.residue(), [])
    },
  )

  t.test(`${backend}: of several ADDs for one port at once exactly one wins`, async t => {
    const scene = await Scene.open(backend, ...names(6))
    t.teardown(() => scene.close())
    const front = scene.network('front', 10)
    const ports = [{ hostPort: 8080, containerPort: ANSWERS }]
    const containers = names(6).map(name => scene.get(name))
    const outcomes = await Promise.allSettled(containers.map(one => front.add(one, { ports })))
    const winners = containers.filter((_, i) => outcomes[i]?.status === 'fulfilled')
    t.equal(winners.length, 1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') t.match(outcome.reason, { code: 101, message: /8080/ })
    }
    const { place } = await scene.client.ask('tcp', HOST[4], 8080)
    t.equal(place, winners[0]?.name)
    for (const winner of winners) await front.delete(winner, { ports })
    t.strictSame(await scene.residue(), [])
  })

  t.test(
    `${backend}: STATUS and ADD say when the pool is exhausted, and when it is not any more`,
    async t => {
      const scene = await Scene.open(backend, ...names(2))
      t.teardown(() => scene.close())
      // Of four addresses one is the gateway's and two are nobody's.
      const ipam = { type: 'host-local', ranges: [[{ subnet: '10.10.0.0/30' }]] }
      const front = scene.network('front', 10, { ipam })
      const [first, second] = [scene.get('c1'), scene.get('c2')]
      await front.status()
      await front.add(first)
      await t.rejects(front.status(), { code: 50, message: /no IP addresses available .*10\.10\.0\.2/ })
      await t.rejects(front.add(second), { code: 100, message: /no IP addresses available .*10\.10\.0\.2/ })
      await front.delete(first)
      await front.status()
      await front.add(second)
      await front.delete(second)
      t.strictSame(await scene.residue(), [])
    },
  )

  /** A client's flow to a published port, and what a new container with the old address hears of it. */
  const heardAfterReuse = async (scene: Scene, between: (address: string) => Promise<void>) => {
    const front = scene.network('front', 10)
    const [old, successor] = [scene.get('c1'), scene.get('c2')]
    const ports = [{ hostPort: 8080, containerPort: ANSWERS, protocol: 'udp' }]
    const result = await front.add(old, { ports })
    const address = addressOf(result, 4)
    const flow = { fromPort: 4000 }
    await scene.client.ask('udp', HOST[4], 8080, flow)
    await front.delete(old, { ports })
    const again = await front.add(successor, { config: { args: { cni: { ips: [address] } } } })
    await between(address)
    const options = { ...flow, withinMs: 1000 }
    const answer = await scene.client.ask('udp', HOST[4], 8080, options).catch(() => undefined)
    await front.delete(successor)
    return { same: sameAddress(result, again), answer }
  }

  t.test(`${backend}: an address that is used again hears nothing of old flows`, async t => {
    const scene = await Scene.open(backend, ...names(2))
    t.teardown(() => scene.close())
    const { same, answer } = await heardAfterReuse(scene, async () => {})
    t.ok(same, 'the second container has the address of the first')
    t.equal(answer, undefined)
    t.strictSame(await scene.residue(), [])
  })

  t.test(`${backend}: control: with the old flow still tracked, the new container would hear it`, async t => {
    const scene = await Scene.open(backend, ...names(2))
    t.teardown(() => scene.close())
    const { answer } = await heardAfterReuse(scene, async address => {
      const there = ['-s', CLIENT[4], '-d', HOST[4], '--sport', '4000', '--dport', '8080']
      const translated = ['--dst-nat', `${address}:${ANSWERS}`, '-u', 'SEEN_REPLY,ASSURED']
      await scene.host.run('conntrack', '-I', '-p', 'udp', ...there, ...translated, '-t', '60')
    })
    t.match(answer, { place: 'c2' })
  })
}

const sameAddress = (a: Result, b: Result): boolean => addressOf(a, 4) === addressOf(b, 4)
