/**
 *     client eth0 ──── lan0 host ┬─ br-front ── eth0 ┐
 *                                │                   ├ both
 *                                └─ br-back  ── eth1 ┘
 *
 * A container on two networks, on a host that filters strictly by reverse path (RHEL's default): what it answers
 * leaves by its default route, whatever network the client came by.
 */

import t, { type Test } from 'tap'
import type { Host } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

const PORTS = { ports: [{ hostPort: 8080, containerPort: ANSWERS }] }
const ETH1 = { ifname: 'eth1' }
/** The gateway's network without the default route. */
const NO_WAY_OUT = { isDefaultGateway: false, isGateway: true }

const filterOf = async (host: Host, ifname: string): Promise<string> =>
  (await host.run('sysctl', '-n', `net.ipv4.conf.${ifname}.rp_filter`)).stdout.trim()

async function strictScene(t: Test, backend: (typeof BACKENDS)[number]): Promise<Scene> {
  const scene = await Scene.open(backend, 'both')
  t.teardown(() => scene.close())
  const { host } = scene
  await host.run('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=1', 'net.ipv4.conf.default.rp_filter=1')
  for (const family of ['', '6']) await host.run(`ip${family}tables`, '-P', 'FORWARD', 'DROP')
  await scene.remember()
  return scene
}

/** Clients keep their address: so it is not the proxy that serves them. */
async function answersClients(t: Test, { client }: Scene, what: string): Promise<void> {
  for (const family of [4, 6] as const) {
    const expected = { place: 'both', peer: CLIENT[family] }
    t.match(await client.ask('tcp', HOST[family], 8080), expected, `${what}, IPv${family}`)
  }
}

const isSilent = (t: Test, { client }: Scene, what: string) =>
  t.rejects(client.ask('tcp', HOST[4], 8080, { withinMs: 300 }), what)

for (const backend of BACKENDS) {
  t.test(
    `${backend}: a container without masquerade reaches its port by either network's gateway`,
    async t => {
      const scene = await strictScene(t, backend)
      const both = scene.get('both')
      await scene.network('front', 10, { ipMasq: false }).add(both)
      await scene.network('back', 20, { ...NO_WAY_OUT, ipMasq: false }).add(both, { ...ETH1, ...PORTS })
      for (const gateway of ['10.10.0.1', '10.20.0.1', 'fd10::1', 'fd20::1'])
        t.match(await both.ask('tcp', gateway, 8080), { place: 'both' }, gateway)
    },
  )

  t.test(`${backend}: a port that CNI publishes on a network without the default route answers`, async t => {
    const scene = await strictScene(t, backend)
    const { host } = scene
    const both = scene.get('both')
    const front = scene.network('front', 10)
    const back = scene.network('back', 20, NO_WAY_OUT)
    await front.add(both)
    t.equal(await filterOf(host, 'br-front'), '1', 'one network needs nothing of this')
    const onBack = await back.add(both, { ...ETH1, ...PORTS })
    await answersClients(t, scene, 'the second network')
    t.equal(await filterOf(host, 'br-front'), '2')
    t.equal(await filterOf(host, 'br-back'), '1', 'where answers do not arrive, nothing is changed')
    await t.test('control: strict, answers are dropped', async t => {
      await host.run('sysctl', '-qw', 'net.ipv4.conf.br-front.rp_filter=1')
      await isSilent(t, scene, 'with strict filtering')
      await host.run('sysctl', '-qw', 'net.ipv4.conf.br-front.rp_filter=2')
    })
    await back.check(both, onBack, { ...ETH1, ...PORTS })
    await back.delete(both, ETH1)
    t.equal(await filterOf(host, 'br-front'), '1', 'as it was before')
    await front.delete(both)
    t.strictSame(await scene.residue(), [])
  })

  t.test(`${backend}: a port keeps answering when another network gets the default route`, async t => {
    const scene = await strictScene(t, backend)
    // With nftables, iptables' own rules are not to be made anew for a network that came later.
    if (backend === 'nftables')
      for (const family of ['', '6']) await scene.host.run(`ip${family}tables`, '-P', 'FORWARD', 'ACCEPT')
    const both = scene.get('both')
    const front = scene.network('front', 10, NO_WAY_OUT)
    const back = scene.network('back', 20)
    await front.add(both, PORTS)
    await back.add(both, ETH1)
    await answersClients(t, scene, 'the first network')
    await front.delete(both)
    t.equal(await filterOf(scene.host, 'br-back'), '2', 'as long as who needed it is there')
    await back.delete(both, ETH1)
  })

  t.test(`${backend}: publish leads to the address that the default route leaves by`, async t => {
    const scene = await strictScene(t, backend)
    // With nftables, iptables' FORWARD lets nothing through to containers of others.
    for (const family of ['', '6']) await scene.host.run(`ip${family}tables`, '-P', 'FORWARD', 'ACCEPT')
    const both = scene.get('both')
    // Under its own address: what it sends from the one network to the other would be its own packet coming in.
    await scene.network('front', 10, { ...NO_WAY_OUT, ipMasq: false }).add(both)
    await scene.network('back', 20, { ipMasq: false }).add(both, ETH1)
    const tsnet = new Command(scene.host, backend)
    await tsnet.daemon()
    await tsnet.run('publish', '8080:80', 'both')
    await answersClients(t, scene, 'published')
    for (const gateway of ['10.10.0.1', '10.20.0.1', 'fd10::1', 'fd20::1', HOST[4], HOST[6]])
      t.match(await both.ask('tcp', gateway, 8080), { place: 'both' }, `itself by ${gateway}`)
    await t.test('a family whose default route leaves by the other network is the proxy’s', async t => {
      await both.run('ip', '-6', 'route', 'replace', 'default', 'via', 'fd10::1')
      await tsnet.run('publish', '8081:80', 'both')
      t.equal((await scene.client.ask('tcp', HOST[4], 8081)).peer, CLIENT[4])
      const answer = await scene.client.ask('tcp', HOST[6], 8081)
      t.equal(answer.place, 'both')
      t.not(answer.peer, CLIENT[6], 'the proxy asks')
    })
  })

  t.test(`${backend}: a port of portmap on a network without the default route answers`, async t => {
    const scene = await strictScene(t, backend)
    const { host } = scene
    // Without the plugin firewall in the chain.
    for (const family of ['', '6']) await host.run(`ip${family}tables`, '-P', 'FORWARD', 'ACCEPT')
    const both = scene.get('both')
    const front = scene.dropIn('bridge', scene.network('front', 10).config)
    const back = scene.dropIn('bridge', { ...scene.network('back', 20).config, ...NO_WAY_OUT })
    const portmap = scene.dropIn('portmap', { name: 'back' })
    await front.add(both)
    const result = await back.add(both, ETH1)
    t.equal(await filterOf(host, 'br-front'), '1')
    await portmap.add(both, { ...ETH1, ...PORTS, prevResult: result })
    await answersClients(t, scene, 'portmap')
    t.equal(await filterOf(host, 'br-front'), '2')
    await portmap.delete(both, { ...ETH1, ...PORTS, prevResult: result })
    await isSilent(t, scene, 'gone')
    t.equal(await filterOf(host, 'br-front'), '1', 'as it was before')
  })
}
