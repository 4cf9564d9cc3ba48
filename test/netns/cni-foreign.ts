/**
 * CNI calls on hosts whose owner has rules that drop what an ADD makes: nothing is refused, and nothing is kept
 * quiet. The drop-ins say it as the role `tsnet` does.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { Plugin } from '../support/plugin.ts'
import { BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const PORTS = [{ hostPort: 8080, containerPort: 80 }]

const recorded = (scene: Scene): string[] =>
  readdirSync(scene.host.path('/run/tsnet/attachments')).map(
    file =>
      JSON.parse(readFileSync(scene.host.path(`/run/tsnet/attachments/${file}`), 'utf8')).attachment
        .natObstacle,
  )

for (const backend of BACKENDS) {
  t.test(
    `${backend}: an ADD says which rule of others drops its ports and what it sends, and STATUS does`,
    async t => {
      const scene = await Scene.open(backend, 'web')
      t.teardown(() => scene.close())
      const network = scene.network('front', 10)
      const web = scene.get('web')
      await scene.host.run('iptables', '-A', 'FORWARD', '-j', 'REJECT')

      await network.add(web, { ports: PORTS })
      const place =
        /iptables table filter, chain FORWARD, rule 1: "-j REJECT --reject-with icmp-port-unreachable"/
      t.match(
        network.said,
        /^tsnet: warning: container web on network front: what is sent to port 8080\/tcp is dropped by /,
      )
      t.match(network.said, /; and what 10\.10\.0\.\d+ sends out is dropped by /)
      t.match(network.said, place)
      t.match(recorded(scene), [place])
      await t.rejects(scene.client.ask('tcp', HOST[4], 8080), 'it is so')
      await t.rejects(web.ask('tcp', CLIENT[4], 80), 'it is so')
      t.equal((await scene.client.ask('tcp', HOST[6], 8080)).place, 'web', 'IPv6 is not concerned')
      await network.delete(web)

      await network.status()
      t.match(network.said, /^tsnet: warning: network front: what 10\.10\.0\.2 sends out is dropped by /)
      await scene.host.run('iptables', '-F', 'FORWARD')
      await network.status()
      t.equal(network.said, '')
      await network.add(web, { ports: PORTS })
      t.equal(network.said, '')
      t.same(recorded(scene), [undefined])
      t.equal((await scene.client.ask('tcp', HOST[4], 8080)).peer, CLIENT[4])
      await network.delete(web)
    },
  )

  t.test(`${backend}: a policy that ours overrule is nothing to speak of`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    for (const command of ['iptables', 'ip6tables']) await scene.host.run(command, '-P', 'FORWARD', 'DROP')
    const network = scene.network('front', 10)
    await network.add(scene.get('web'), { ports: PORTS })
    t.equal(network.said, '')
    t.equal((await scene.client.ask('tcp', HOST[4], 8080)).peer, CLIENT[4])
    t.equal((await scene.get('web').ask('tcp', CLIENT[6], 80)).place, 'client')
    await network.delete(scene.get('web'))
  })
}

t.test('the drop-ins say it too: portmap of its ports, firewall and bridge of what is sent', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const web = scene.get('web')
  const plugin = (type: string, config: Record<string, unknown>) =>
    new Plugin(scene.host, 'iptables', { name: 'front', type, ...config }, resolve(`dist/drop-in/${type}`))
  const bridge = plugin('bridge', {
    bridge: 'br-front',
    isDefaultGateway: true,
    ipMasq: true,
    ipam: { type: 'host-local', ranges: [[{ subnet: '10.10.0.0/16' }]] },
  })
  const portmap = plugin('portmap', { capabilities: { portMappings: true } })
  const firewall = plugin('firewall', { backend: 'iptables' })

  await scene.host.run('iptables', '-P', 'FORWARD', 'DROP')
  const prevResult = await bridge.add(web)
  t.equal(bridge.said, '', 'the plugin firewall is going to let it through')
  await portmap.add(web, { prevResult, ports: PORTS })
  t.match(
    portmap.said,
    /what is sent to port 8080\/tcp is dropped by iptables table filter, chain FORWARD: "policy DROP"/,
  )
  await firewall.add(web, { prevResult })
  t.equal(firewall.said, '')
  t.equal((await web.ask('tcp', CLIENT[4], 80)).place, 'client')
  for (const each of [firewall, portmap, bridge]) await each.delete(web, { prevResult, ports: PORTS })

  await scene.host.run('iptables', '-P', 'FORWARD', 'ACCEPT')
  await scene.host.run(
    'nft',
    'add table ip strict; add chain ip strict f { type filter hook forward priority 0; policy drop; }',
  )
  const place = /is dropped by nft table ip strict, chain f: "policy drop"/
  const again = await bridge.add(web)
  t.match(bridge.said, place)
  await firewall.add(web, { prevResult: again })
  t.match(firewall.said, place)
  await portmap.add(web, { prevResult: again, ports: PORTS })
  t.match(portmap.said, place)
})
