/**
 *     client eth0 ──── lan0 host ─── br-front ┬─ web        each on an isolated port
 *                                             └─ neighbour
 *
 * Where packets between ports of a bridge pass the rules (br_netfilter), what is led to an isolated port from another
 * one, or from itself, is dropped by the bridge. So it is left to the proxy; where there is none it is said.
 */

import t from 'tap'
import { bridgeNetfilter } from '../support/bridge-port.ts'
import { Command } from '../support/daemon.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

const TRANSPORTS = ['tcp', 'udp'] as const
const both = (hostPort: number) =>
  TRANSPORTS.map(protocol => ({ hostPort, containerPort: ANSWERS, protocol }))
const SAYS = /its bridge port is isolated and net\.bridge\.bridge-nf-call-iptables and \S+ is on/

for (const backend of BACKENDS) {
  const open = async (isolated = true) => {
    const scene = await Scene.open(backend, 'web', 'neighbour')
    await bridgeNetfilter(scene.host, true)
    await scene.remember()
    const network = scene.network('front', 10, { portIsolation: isolated })
    const [web, neighbour] = [scene.get('web'), scene.get('neighbour')]
    return { scene, network, web, neighbour, tsnet: new Command(scene.host, backend) }
  }

  t.test(
    `${backend}: with a daemon, an isolated container's ports answer itself and its neighbours`,
    async t => {
      const { scene, network, web, neighbour, tsnet } = await open()
      t.teardown(() => scene.close())
      const daemon = await tsnet.daemon()
      await network.add(neighbour)
      await network.add(web, { ports: both(8080) })
      t.notMatch(network.said, SAYS)
      await tsnet.run('publish', '8081:80', '8081:80/udp', 'web')
      for (const transport of TRANSPORTS) {
        for (const port of [8080, 8081]) {
          for (const address of [...Object.values(HOST), '10.10.0.1', 'fd10::1']) {
            for (const from of [web, neighbour])
              t.match(
                await from.ask(transport, address, port),
                { place: 'web' },
                `${from.name} → ${address} ${transport} ${port}`,
              )
          }
          for (const family of [4, 6] as const) {
            const seen = await scene.client.ask(transport, HOST[family], port)
            t.match(seen, { place: 'web', peer: CLIENT[family] }, 'who comes from elsewhere goes by rules')
          }
        }
      }
      await tsnet.run('unpublish', 'web')
      await network.delete(web)
      await network.delete(neighbour)
      await daemon.stop('SIGTERM')
      t.strictSame(await scene.residue(), [])
    },
  )

  t.test(`${backend}: without a daemon it is said`, async t => {
    const { scene, network, web, neighbour, tsnet } = await open()
    t.teardown(() => scene.close())
    await network.add(neighbour)
    await network.add(web, { ports: both(8080) })
    t.match(network.said, SAYS)
    t.match(network.said, /warning: container web on network front: its bridge port/)
    await t.rejects(neighbour.ask('tcp', HOST[4], 8080, { withinMs: 300 }), 'and so it is')
    t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'web' })
    const listed = await tsnet.run('ports', '--all')
    t.match(listed.stdout.replaceAll(/\s+/g, ' '), /its bridge port is isolated/)

    await t.test('nor is anything said where bridged packets do not pass the rules', async t => {
      await network.delete(web)
      await bridgeNetfilter(scene.host, false)
      await network.add(web, { ports: both(8080) })
      t.notMatch(network.said, SAYS)
      t.match(await neighbour.ask('tcp', HOST[4], 8080), { place: 'web' })
      t.match(await web.ask('tcp', HOST[4], 8080), { place: 'web' })
    })
  })

  t.test(`${backend}: --mode nat and portmap say it as well`, async t => {
    const { scene, network, web, tsnet } = await open()
    t.teardown(() => scene.close())
    const result = await network.add(web)
    await tsnet.daemon()
    t.match((await tsnet.run('publish', '--mode', 'nat', '8081:80', 'web')).stderr, SAYS)
    const portmap = scene.dropIn('portmap', { name: 'front' })
    await portmap.add(web, { ports: both(8082), prevResult: result })
    t.match(portmap.said, SAYS)
  })
}
