/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web (both families), four (IPv4 alone)
 *       192.168.50.2   192.168.50.1
 *       fd50::2             fd50::1
 *
 * A published address of one family is of that family alone, as with `docker run -p`: `0.0.0.0` is IPv4,
 * `[::]` is IPv6, none is both; over rules of both firewalls and the proxy, from outside and on loopback.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import type { Plugin } from '../support/plugin.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'

const PLACES = {
  4: [
    ['host', '127.0.0.1'],
    ['host', HOST[4]],
    ['client', HOST[4]],
  ],
  6: [
    ['host', '::1'],
    ['host', HOST[6]],
    ['client', HOST[6]],
  ],
} as const
const FAMILIES = [4, 6] as const
const ANY = { 4: '0.0.0.0', 6: '[::]' } as const
const TRANSPORTS = ['tcp', 'udp'] as const

/** Who answers at a port over a family, from all places that matter. */
async function answers(
  scene: Scene,
  port: number,
  family: 4 | 6,
  places = PLACES[family],
): Promise<string[]> {
  const all = await Promise.all(
    TRANSPORTS.flatMap(transport =>
      places.map(([place, address]) =>
        scene[place].ask(transport, address, port, { withinMs: 300 }).then(
          ({ place }) => place,
          () => 'nobody',
        ),
      ),
    ),
  )
  return [...new Set(all)]
}

/** Connections with the proxy, which the kernel remembers for minutes. */
const isNotProxied = (line: string): boolean => !/^connection host (tcp|udp) /.test(line)

/** Over both transports. */
const both = (hostIp: string, port: number) => TRANSPORTS.map(each => `${hostIp}:${port}:80/${each}`)

const networkOf = (scene: Scene, families: readonly (4 | 6)[]): Plugin =>
  scene.network('front', 10, {
    ipam: {
      type: 'host-local',
      ranges: families.map(family => [{ subnet: family === 4 ? '10.10.0.0/16' : 'fd10::/64' }]),
    },
  })

for (const backend of BACKENDS) {
  t.test(`${backend}: what is published on 0.0.0.0 is IPv4's, and on [::] IPv6's`, async t => {
    const scene = await Scene.open(backend, 'web', 'four')
    t.teardown(() => scene.close())
    const network = networkOf(scene, FAMILIES)
    await network.add(scene.get('web'))
    await networkOf(scene, [4]).add(scene.get('four'))
    const tsnet = new Command(scene.host, backend)
    const daemon = await tsnet.daemon()

    for (const mode of ['auto', 'proxy']) {
      for (const [index, container] of ['web', 'four'].entries()) {
        await tsnet.run('publish', '--mode', mode, ...both(ANY[4], 8084), container)
        await tsnet.run('publish', '--mode', mode, ...both(ANY[6], 8086), container)
        for (const family of FAMILIES) {
          const what = `${mode} ${container} IPv${family}`
          t.same(await answers(scene, 8084, family), [family === 4 ? container : 'nobody'], what)
          t.same(await answers(scene, 8086, family), [family === 6 ? container : 'nobody'], what)
        }
        const hosts = (await tsnet.run('ports')).stdout.match(/^\S+(?=\s+(web|four))/gm)
        t.same(
          hosts?.toSorted(),
          [...both(ANY[4], 8084), ...both(ANY[6], 8086)].map(each => each.replace(':80/', '/')),
        )
        // By the words with which it was published, and no other.
        t.match(await tsnet.try('unpublish', '[::]:8084'), { code: 1, stderr: /nothing is published/ })
        await tsnet.run('unpublish', '0.0.0.0:8084', '0.0.0.0:8084/udp', ...both(ANY[6], 8086))
        t.same(await tsnet.ports(), [], `round ${index}`)
      }
    }
    await network.delete(scene.get('web'))
    await network.delete(scene.get('four'))
    await daemon.stop('SIGTERM')
    t.same(await scene.residue(isNotProxied), [])
  })

  t.test(
    `${backend}: each family of one port is a publication of its own, and both are in the way of none`,
    async t => {
      const scene = await Scene.open(backend, 'web', 'api')
      t.teardown(() => scene.close())
      const network = networkOf(scene, FAMILIES)
      await network.add(scene.get('web'))
      await network.add(scene.get('api'))
      const tsnet = new Command(scene.host, backend)
      await tsnet.daemon()

      await tsnet.run('publish', ...both(ANY[4], 8080), ...both(ANY[6], 8080), 'web')
      await tsnet.run('publish', ...both(ANY[4], 8081), 'web')
      await tsnet.run('publish', ...both(ANY[6], 8081), 'api')
      for (const family of FAMILIES) {
        t.same(await answers(scene, 8080, family), ['web'])
        t.same(await answers(scene, 8081, family), [family === 4 ? 'web' : 'api'])
      }
      const taken = await tsnet.try('publish', '8081:80', 'api')
      t.match(taken, { code: 1, stderr: /8081\/tcp is already published for container web/ })
      await tsnet.run('unpublish', '[::]:8080:80')
      t.same(
        (await tsnet.ports()).filter(each => each.hostPort === 8080 && each.protocol === 'tcp').length,
        1,
      )
      t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'web')
      await t.rejects(scene.client.ask('tcp', HOST[6], 8080), { code: 'ECONNREFUSED' })
      // A stranger's socket of the other family is no obstacle.
      scene.host.listen('tcp', 8082, '0.0.0.0')
      await tsnet.run('publish', '[::]:8082:80', 'web')
      t.match(await tsnet.try('publish', '0.0.0.0:8082:80', 'web'), { code: 1, stderr: /already in use/ })
    },
  )

  t.test(`${backend}: hostIP of a CNI port mapping says the family, with a daemon and without`, async t => {
    const scene = await Scene.open(backend, 'web', 'four')
    t.teardown(() => scene.close())
    const ports = FAMILIES.flatMap(family =>
      TRANSPORTS.map(protocol => ({
        hostPort: 8080 + family,
        containerPort: 80,
        protocol,
        hostIP: ANY[family].replace(/[[\]]/g, ''),
      })),
    )
    const network = networkOf(scene, FAMILIES)
    const outside = (family: 4 | 6) => PLACES[family].slice(2) as unknown as (typeof PLACES)[4]
    const result = await network.add(scene.get('web'), { ports })
    await network.check(scene.get('web'), result, { ports })
    for (const family of FAMILIES) {
      t.same(await answers(scene, 8084, family, outside(family)), [family === 4 ? 'web' : 'nobody'])
      t.same(await answers(scene, 8086, family, outside(family)), [family === 6 ? 'web' : 'nobody'])
    }
    await t.rejects(
      networkOf(scene, [4]).add(scene.get('four'), {
        ports: [{ hostPort: 8090, containerPort: 80, hostIP: '::' }],
      }),
      /\[::\]:8090\/tcp cannot be published: the container has no IPv6 address/,
    )

    const daemon = await new Command(scene.host, backend).daemon()
    const served = () => answers(scene, 8086, 6)
    await waitFor(async () => (await served()).join() === 'web', { what: 'loopback to be served' })
    for (const family of FAMILIES) {
      t.same(await answers(scene, 8084, family), [family === 4 ? 'web' : 'nobody'])
      t.same(await answers(scene, 8086, family), [family === 6 ? 'web' : 'nobody'])
    }
    await network.delete(scene.get('web'), { ports })
    // The proxy serves the family that the container lacks.
    await networkOf(scene, [4]).add(scene.get('four'), { ports })
    for (const family of FAMILIES) {
      t.same(await answers(scene, 8084, family), [family === 4 ? 'four' : 'nobody'])
      t.same(await answers(scene, 8086, family), [family === 6 ? 'four' : 'nobody'])
    }
    await networkOf(scene, [4]).delete(scene.get('four'), { ports })
    await daemon.stop('SIGTERM')
    t.same(await scene.residue(isNotProxied), [])
  })
}
