/**
 * What was made goes again, completely, however and whenever the runtime says so.
 *
 *     client eth0 ──── lan0 host ── br-front 10.10.0.1 fd10::1 ┬─ a    8001 of the host → 80
 *                                                              ├─ b    8002
 *                                                              └─ c    8003
 */

import t from 'tap'
import type { Namespace } from 'tsnet/lab'
import type { CallOptions, Plugin } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

const NAMES = ['a', 'b', 'c'] as const
type Name = (typeof NAMES)[number]

const portOf = (name: Name): number => 8001 + NAMES.indexOf(name)
const ports = (name: Name): CallOptions => ({
  ports: (['tcp', 'udp'] as const).map(protocol => ({
    hostPort: portOf(name),
    containerPort: ANSWERS,
    protocol,
  })),
})

/** All orders of a list. */
function orders<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]]
  return items.flatMap((item, i) => orders(items.toSpliced(i, 1)).map(rest => [item, ...rest]))
}

/** Has traffic gone through everything that ADD made, so that DEL finds connections as well. */
async function use({ client }: Scene, name: Name): Promise<void> {
  for (const transport of ['tcp', 'udp'] as const) {
    for (const family of [4, 6] as const) await client.ask(transport, HOST[family], portOf(name))
  }
}

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  const open = async () => {
    const scene = await Scene.open(backend, ...NAMES)
    return { scene, front: scene.network('front', 10) }
  }

  t.test(`${backend}: DEL in every order leaves nothing, and the others as they were`, async t => {
    const { scene, front } = await open()
    t.teardown(() => scene.close())
    for (const order of orders(NAMES)) {
      await Promise.all(NAMES.map(name => front.add(scene.get(name), ports(name))))
      for (const [i, name] of order.entries()) {
        await use(scene, name)
        await front.delete(scene.get(name), ports(name))
        for (const other of order.slice(i + 1)) await use(scene, other)
      }
      t.strictSame(await scene.residue(), [], order.join(', '))
    }
  })

  /** Ways in which a container ends and its runtime says so; each after a complete ADD of `x`. */
  const ends: Record<string, (front: Plugin, x: Namespace, scene: Scene) => Promise<void>> = {
    'DEL twice': async (front, x) => {
      await front.delete(x)
      await front.delete(x)
    },
    'DEL without a namespace while it is there': front => front.delete('x'),
    'DEL without a namespace when it is gone': async (front, x) => {
      await x.remove()
      await front.delete('x')
    },
    'DEL with the path of a namespace that is gone': async (front, x) => {
      await x.remove()
      await front.delete(x)
    },
    'DEL with a path that became a plain file': async (front, x, { host }) => {
      await x.remove()
      await host.run('touch', x.path)
      await front.delete(x)
      await host.run('rm', x.path)
    },
    'DEL with a path that leads to another namespace by now': async (front, x, scene) => {
      await x.remove()
      const another = await scene.container('x')
      scene.world.wire([scene.client, 'spare'], [another, 'eth0', '10.10.7.7/16'])
      await front.delete(x)
      if (!scene.world.draw().includes('eth0 10.10.7.7/16')) throw new Error('the other one was touched')
    },
    'DEL after the configuration was edited': (front, x) =>
      front.delete(x, {
        config: {
          bridge: 'another',
          ipMasq: false,
          isDefaultGateway: false,
          ipam: { type: 'host-local', ranges: [[{ subnet: '172.16.0.0/24' }]] },
        },
      }),
    'DEL after the configuration became nonsense': (front, x) =>
      front.delete(x, { config: { mtu: 'high', ipam: { type: 'host-local', ranges: 7 } } }),
    'DEL with the other backend configured': (front, x) =>
      front.delete(x, { env: { TSNET_NAT: backend === 'iptables' ? 'nftables' : 'iptables' } }),
    'GC with an empty list': front => front.collect([]),
    'GC without a list, after the namespace is gone': async (front, x) => {
      await x.remove()
      await front.collect(undefined)
    },
  }

  for (const [what, end] of Object.entries(ends)) {
    t.test(`${backend}: ${what} leaves nothing`, async t => {
      const { scene, front } = await open()
      t.teardown(() => scene.close())
      const x = await scene.container('x')
      await front.add(x, ports('a'))
      await use(scene, 'a')
      await end(front, x, scene)
      await scene.host.namespaces.find(({ name }) => name === 'x')?.remove()
      t.strictSame(await scene.residue(), [])
    })
  }

  t.test(`${backend}: DEL of a container that was never added changes nothing`, async t => {
    const { scene, front } = await open()
    t.teardown(() => scene.close())
    await front.delete(scene.get('a'))
    await front.delete('unheard-of', { netns: '/run/netns/unheard-of' })
    await front.delete('unheard-of')
    t.strictSame(await scene.differences(), [])
  })

  t.test(`${backend}: GC takes what is not listed and leaves what is`, async t => {
    const { scene, front } = await open()
    t.teardown(() => scene.close())
    const more = await Promise.all(['d', 'e', 'f'].map(name => scene.container(name)))
    await scene.remember()
    const containers = [...NAMES.map(name => scene.get(name)), ...more]
    const results = await Promise.all(
      containers.map(container =>
        front.add(container, NAMES.includes(container.name as Name) ? ports(container.name as Name) : {}),
      ),
    )
    const kept = ['a', 'c', 'e']
    await front.collect(kept)
    for (const [i, container] of containers.entries()) {
      const result = results[i]
      if (result === undefined) continue
      const check = front.check(container, result, ports(container.name as Name))
      if (kept.includes(container.name)) await t.resolves(check, `${container.name} is as it was`)
      else await t.rejects(check, `${container.name} is gone`)
    }
    await use(scene, 'a')
    await use(scene, 'c')
    await t.rejects(use(scene, 'b'))
    await front.collect(undefined)
    await use(scene, 'a')
    await front.collect([])
    t.strictSame(await scene.residue(), [])
  })
}
