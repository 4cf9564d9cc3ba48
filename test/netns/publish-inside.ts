/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web (both families), quiet (no default route)
 *       192.168.50.2   192.168.50.1                        lonely (nothing but lo)
 *       fd50::2             fd50::1
 *
 * Services that are dialled from inside their container, wherever they listen; and a container whose answers
 * would not find out of it.
 */

import t from 'tap'
import type { Namespace } from 'tsnet/lab'
import { Command, withDaemon } from '../support/daemon.ts'
import { BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

const EVERYWHERE = [
  ['host', '127.0.0.1'],
  ['host', '::1'],
  ['client', HOST[4]],
  ['client', HOST[6]],
] as const
const TRANSPORTS = ['tcp', 'udp'] as const

/** Who the service says asks it, from everywhere. @throws where one gets no answer */
async function peers(scene: Scene, transport: 'tcp' | 'udp', port: number): Promise<string[]> {
  const answers = await Promise.all(
    EVERYWHERE.map(([place, address]) => scene[place].ask(transport, address, port)),
  )
  return [...new Set(answers.map(({ peer }) => peer.replace('::ffff:', '')))]
}

t.test(
  'a service is reached from inside wherever it listens, and none is taken for the container itself',
  async t => {
    const { scene, tsnet } = await withDaemon(t, 'web', 'lonely')
    const web = scene.get('web')
    const { ips = [] } = await scene.network('front', 10).add(web)
    const [own4 = '', own6 = ''] = ips.map(({ address }) => address.split('/')[0])
    const cases = [
      // listens on, is asked over TCP by, over UDP by
      ['0.0.0.0', own4, own4],
      ['::', own6, own6],
      [own4, own4, own4],
      [own6, own6, own6],
      ['127.0.0.1', own4, '127.0.0.1'],
      ['127.0.0.7', own4, '127.0.0.1'],
      ['::1', own6, '::1'],
    ] as const
    for (const [index, [address, overTcp, overUdp]] of cases.entries()) {
      const port = 8100 + index
      for (const transport of TRANSPORTS) web.listen(transport, port, address)
      await tsnet.run('publish', '--via', 'netns', `${port}:${port}`, `${port}:${port}/udp`, 'web')
      t.same(await peers(scene, 'tcp', port), [overTcp], `tcp on ${address}`)
      t.same(await peers(scene, 'udp', port), [overUdp], `udp on ${address}`)
    }
    // Without a network there is nothing but loopback.
    const lonely = scene.get('lonely')
    for (const [index, address] of ['0.0.0.0', '127.0.0.1', '::1'].entries()) {
      const port = 8200 + index
      for (const transport of TRANSPORTS) {
        lonely.listen(transport, port, address)
        await tsnet.run('publish', `${port}:${port}/${transport}`, 'netns:lonely')
        t.same(
          await peers(scene, transport, port),
          [address === '::1' ? '::1' : '127.0.0.1'],
          `${transport} on ${address}`,
        )
      }
    }
  },
)

t.test('a service that begins to listen elsewhere is found there', async t => {
  const { scene, tsnet } = await withDaemon(t, 'lonely')
  const lonely = scene.get('lonely')
  await tsnet.run('publish', '--wait', '20s', '8300:8300', 'netns:lonely')
  await tsnet.run('publish', '8300:8300/udp', 'netns:lonely')
  const early = scene.host.ask('tcp', '127.0.0.1', 8300, { withinMs: 20_000 })
  await t.rejects(scene.host.ask('udp', '127.0.0.1', 8300, { withinMs: 200 }))
  for (const transport of TRANSPORTS) lonely.listen(transport, 8300, '::1')
  t.equal((await early).place, 'lonely')
  t.equal((await scene.host.ask('udp', '127.0.0.1', 8300)).place, 'lonely')
})

const withoutDefault = async (container: Namespace, ...families: (4 | 6)[]): Promise<void> => {
  for (const family of families) await container.run('ip', `-${family}`, 'route', 'del', 'default')
}

for (const backend of BACKENDS) {
  t.test(
    `${backend}: a container without a default route is served by the proxy, family by family`,
    async t => {
      const scene = await Scene.open(backend, 'quiet', 'half')
      t.teardown(() => scene.close())
      const network = scene.network('front', 10)
      for (const name of ['quiet', 'half']) await network.add(scene.get(name))
      await withoutDefault(scene.get('quiet'), 4, 6)
      await withoutDefault(scene.get('half'), 6)
      const tsnet = new Command(scene.host, backend)
      await tsnet.daemon()
      await tsnet.run('publish', '8080:80', '8080:80/udp', 'quiet')
      await tsnet.run('publish', '8081:80', '8081:80/udp', 'half')
      for (const transport of TRANSPORTS) {
        for (const [place, address] of EVERYWHERE)
          t.equal(
            (await scene[place].ask(transport, address, 8080)).place,
            'quiet',
            `${transport} ${address}`,
          )
        const seen = await peers(scene, transport, 8081)
        t.ok(seen.includes(CLIENT[4]), 'the family with a route goes by rules')
        t.notOk(seen.includes(CLIENT[6]))
      }
      t.same(
        (await tsnet.ports()).filter(each => each.nat !== undefined).map(each => each.hostPort),
        [8081, 8081],
      )
      const refused = await tsnet.try('publish', '--mode', 'nat', '8082:80', 'quiet')
      t.match(refused, { code: 2, stderr: /--mode nat: container quiet has no default route/ })
    },
  )
}
