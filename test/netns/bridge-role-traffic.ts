/** What packets do on a network of dist/drop-in/bridge: masquerade, a forged sender, forwarding for all. */

import t, { type Test } from 'tap'
import { type Namespace, waitFor } from 'tsnet/lab'
import { type RoleCall, Stage } from '../support/bridge-role.ts'
import { Ear, frame, sendFrame } from '../support/frames.ts'
import { at, ECHO, openSite, type Site } from '../support/site.ts'

t.setTimeout(600_000)

const routed = {
  bridge: 'br7',
  isDefaultGateway: true,
  ipMasq: true,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.1.2.0/24' }], [{ subnet: 'fd00:7::/64' }]] },
}

/** IEEE 802, Local Experimental EtherType 1. */
const LOCAL_EXPERIMENT = 0x88b5

async function open(t: Test): Promise<{ site: Site; stage: Stage; web: Namespace }> {
  const site = await openSite()
  t.teardown(() => site.world.end())
  const stage = new Stage('tsnet', site.host)
  return { site, stage, web: await stage.container('web') }
}

for (const ipMasqBackend of ['iptables', 'nftables']) {
  t.test(`${ipMasqBackend}: what leaves the network has the host's address, in both families`, async t => {
    const { stage, web } = await open(t)
    t.equal((await stage.call('ADD', web, { ...routed, ipMasqBackend })).code, 0)
    for (const family of ['v4', 'v6'] as const) {
      const { peer } = await web.ask('tcp', at.outside[family], ECHO)
      t.equal(peer, at.hostOutside[family], family)
    }
    t.same(await stage.call('DEL', web, { ...routed, ipMasqBackend }), { code: 0 })
  })
}

t.test('macspoofchk drops a frame of another sender; the control lets it through', async t => {
  const { stage } = await open(t)
  for (const macspoofchk of [false, true]) {
    const bridge = `br${Number(macspoofchk)}`
    const [web, near] = [await stage.container(`web-${bridge}`), await stage.container(`near-${bridge}`)]
    const config = { bridge, macspoofchk, ipam: {} }
    const { result } = await stage.call('ADD', web, config)
    t.equal((await stage.call('ADD', near, config)).code, 0)
    using ear = new Ear(near, 'eth0')
    const own = ((result?.interfaces ?? []) as { mac: string }[])[2]?.mac ?? ''
    const send = (from: string, mark: string) =>
      sendFrame(web, 'eth0', frame({ from }, LOCAL_EXPERIMENT, [], mark))
    send('02:00:00:00:01:03', 'forged')
    // Frames keep their order.
    send(own, 'rightful')
    await waitFor(() => ear.heard('rightful'), { what: 'the rightful frame' })
    t.equal(ear.heard('forged'), !macspoofchk)
  }
})

t.test('where the role tsnet lets only its own through, the role bridge opens the host for good', async t => {
  const { site, stage, web } = await open(t)
  const app = await stage.container('app')
  const allInOne = {
    plugin: '../bin/tsnet',
    top: { type: 'tsnet', name: 'own', bridge: 'br8' },
  } satisfies RoleCall
  const ownIpam = { ipam: { type: 'host-local', ranges: [[{ subnet: '10.8.0.0/24' }]] } }
  t.equal((await stage.call('ADD', app, { ...routed, ...ownIpam }, allInOne)).code, 0)
  t.equal((await stage.call('ADD', web, routed)).code, 0)
  const reaches = async () => (await web.ask('tcp', at.outside.v4, ECHO)).peer
  t.equal(await reaches(), at.hostOutside.v4)
  t.same(await stage.call('DEL', app, { ...routed, ...ownIpam }, allInOne), { code: 0 })
  t.equal(await reaches(), at.hostOutside.v4, 'also when the last container of that role has gone')
  t.match((await site.host.run('sysctl', '-n', 'net.ipv4.ip_forward')).stdout, /^1/)
})
