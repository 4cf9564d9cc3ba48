/**
 *     client eth0 ───── lan0 host ─── br-front 10.10.0.1 ─── web
 *
 * A container reaches its own published port by every address of the host: whoever publishes it, and whether
 * packets between the ports of a bridge pass the rules (br_netfilter) or not.
 */

import t, { type Test } from 'tap'
import type { Host, Namespace } from 'tsnet/lab'
import { bridgeNetfilter, portSetting } from '../support/bridge-port.ts'
import { bySignal, Command } from '../support/daemon.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

const TRANSPORTS = ['tcp', 'udp'] as const
/** The host's address on its network, and the container's gateway. */
const OF_HOST = [...Object.values(HOST), '10.10.0.1', 'fd10::1']

async function reachesItself(t: Test, web: Namespace, port: number, what: string): Promise<void> {
  for (const transport of TRANSPORTS) {
    for (const address of OF_HOST)
      t.match(await web.ask(transport, address, port), { place: 'web' }, `${what}: ${transport} ${address}`)
  }
}

const hairpin = (host: Host, port: string) => portSetting(host, port, 'hairpin')

const both = (hostPort: number) =>
  TRANSPORTS.map(protocol => ({ hostPort, containerPort: ANSWERS, protocol }))

for (const backend of BACKENDS) {
  for (const bridged of [true, false]) {
    const where = `bridged packets ${bridged ? 'pass' : 'do not pass'} the rules`

    t.test(`${backend}, ${where}: a container reaches what publish made of its port`, async t => {
      const scene = await Scene.open(backend, 'web')
      t.teardown(() => scene.close())
      const { host } = scene
      const web = scene.get('web')
      await bridgeNetfilter(host, bridged)
      await scene.remember()
      const network = scene.network('front', 10)
      await network.add(web)
      const port = (await host.run('ls', '/sys/class/net/br-front/brif')).stdout.trim()
      const tsnet = new Command(host, backend)
      const daemon = await tsnet.daemon()
      await tsnet.run('publish', '8080:80', '8080:80/udp', 'web')
      await tsnet.run('publish', '--mode', 'nat', '8081:80', '8081:80/udp', 'web')
      await reachesItself(t, web, 8080, 'auto')
      await reachesItself(t, web, 8081, 'nat')
      if (bridged) {
        await t.test('control: not without hairpin mode', async t => {
          // It would be put back.
          const { keep, release } = bySignal(daemon)
          await keep()
          await host.run('bridge', 'link', 'set', 'dev', port, 'hairpin', 'off')
          await t.rejects(web.ask('tcp', HOST[4], 8081, { withinMs: 300 }))
          await host.run('bridge', 'link', 'set', 'dev', port, 'hairpin', 'on')
          await release()
        })
      }
      await tsnet.run('unpublish', '8080')
      await tsnet.run('unpublish', '8080/udp').catch(() => {})
      t.equal(await hairpin(host, port), 'on', 'as long as somebody needs it')
      await reachesItself(t, web, 8081, 'still')
      await tsnet.run('unpublish', 'web')
      t.equal(await hairpin(host, port), 'off', 'as it was before')
      await network.delete(web)
      await daemon.stop('SIGTERM')
      t.strictSame(await scene.residue(), [])
    })

    t.test(`${backend}, ${where}: a container reaches the port that its ADD has published`, async t => {
      const scene = await Scene.open(backend, 'web')
      t.teardown(() => scene.close())
      const web = scene.get('web')
      await bridgeNetfilter(scene.host, bridged)
      await scene.remember()
      for (const promiscMode of [false, true]) {
        const network = scene.network('front', 10, { promiscMode })
        await network.add(web, { ports: both(8080) })
        await reachesItself(t, web, 8080, promiscMode ? 'a promiscuous bridge' : 'a port in hairpin mode')
        await network.delete(web)
      }
      t.strictSame(await scene.residue(), [])
    })
  }
}

t.test('a port that was in hairpin mode before stays so', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const web = scene.get('web')
  await scene.network('front', 10, { hairpinMode: true }).add(web)
  const port = (await scene.host.run('ls', '/sys/class/net/br-front/brif')).stdout.trim()
  const tsnet = new Command(scene.host, 'iptables')
  await tsnet.daemon()
  await tsnet.run('publish', '8080:80', 'web')
  await tsnet.run('unpublish', '8080')
  t.equal(await hairpin(scene.host, port), 'on')
})
