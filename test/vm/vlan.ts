/**
 * VLANs of a bridge that filters them, which not every kernel does.
 *
 *     host br0 ──┬── web   VLAN 100      gateway 10.1.0.1 in VLAN 100
 *                ├── db    VLAN 100
 *                └── guest VLAN 200
 */

import t from 'tap'
import { diff, lab, snapshot } from 'tsnet/lab'
import { Plugin } from '../support/plugin.ts'

t.setTimeout(600_000)

const network = (vlan: number, more: object = {}) => ({
  name: 'front',
  bridge: 'br0',
  vlan,
  ipMasq: false,
  ipam: { type: 'host-local', ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd01::/64' }]] },
  ...more,
})

t.test('containers of one VLAN reach each other and their gateway, and nobody of another one', async t => {
  const world = await lab()
  t.teardown(() => world.end())
  const host = await world.host('host')
  const [web, db, guest] = [
    await host.namespace('web'),
    await host.namespace('db'),
    await host.namespace('guest'),
  ]
  const before = await snapshot(host)
  const front = new Plugin(host, 'nftables', network(100, { isGateway: true }))
  const back = new Plugin(host, 'nftables', network(200))
  const result = await front.add(web)
  await front.add(db)
  await back.add(guest)
  await front.check(web, result)

  db.listen('tcp', 7)
  guest.listen('tcp', 7)
  host.listen('tcp', 7)
  for (const prefix of ['10.1.0.', 'fd01::']) {
    t.match(await web.ask('tcp', `${prefix}3`, 7), { place: 'db' })
    t.match(await web.ask('tcp', `${prefix}1`, 7), { place: 'host' })
    await t.rejects(web.ask('tcp', `${prefix}4`, 7, { withinMs: 4000 }), { name: 'NoAnswer' })
  }

  for (const [plugin, place] of [
    [front, web],
    [front, db],
    [back, guest],
  ] as const)
    await plugin.delete(place)
  const left = diff(before, await snapshot(host))
  t.same(
    left.filter(line => /^(link|address|route|rule|setting)/.test(line)),
    [],
  )
})

t.test('a trunk lets a container speak tagged in the VLANs that it names', async t => {
  const world = await lab()
  t.teardown(() => world.end())
  const host = await world.host('host')
  const [router, web] = [await host.namespace('router'), await host.namespace('web')]
  const trunk = { name: 'trunk', bridge: 'br0', vlanTrunk: [{ id: 100 }, { minID: 300, maxID: 302 }] }
  await new Plugin(host, 'nftables', trunk).add(router)
  await new Plugin(host, 'nftables', network(100)).add(web)
  for (const vlan of ['100', '200']) {
    await router.run('ip', 'link', 'add', 'link', 'eth0', 'name', `v${vlan}`, 'type', 'vlan', 'id', vlan)
    await router.run('ip', 'link', 'set', 'dev', `v${vlan}`, 'up')
  }
  router.address('v100', '10.1.0.9/24')
  web.listen('tcp', 7)
  t.match(await router.ask('tcp', '10.1.0.2', 7), { place: 'web' })
  await router.run('ip', 'address', 'flush', 'dev', 'v100')
  router.address('v200', '10.1.0.9/24')
  await t.rejects(router.ask('tcp', '10.1.0.2', 7, { withinMs: 4000 }), { name: 'NoAnswer' })
})
