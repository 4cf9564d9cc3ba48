/**
 * What the options of networks by hand do to packets.
 *
 *     client eth0 ───── lan0 host ┬─ one network ── a, b
 *       192.168.50.2              └─ another ────── c
 */

import t from 'tap'
import { withNetworks } from '../support/networks.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  t.test(`${backend}: an internal network leads to its containers and nowhere else`, async t => {
    const { scene, network, join } = await withNetworks(t, backend, 'a', 'b', 'c')
    await network('create', 'back', '--internal', '--ipv6')
    await network('create', 'front', '--ipv6')
    const [a4 = ''] = await join('back', 'a')
    const [b4 = '', b6 = ''] = await join('back', 'b')
    const [c4 = ''] = await join('front', 'c')
    t.match(await scene.get('a').ask('tcp', b4, ANSWERS), { place: 'b', peer: a4 })
    t.match(await scene.get('a').ask('tcp', b6, ANSWERS), { place: 'b' })
    const attempts: [from: string, to: string][] = [
      ['a', CLIENT[4]],
      ['a', CLIENT[6]],
      ['a', c4],
      ['c', a4],
    ]
    for (const [from, to] of attempts)
      await t.rejects(scene.get(from).ask('tcp', to, ANSWERS, { withinMs: 300 }), `${from} to ${to}`)
    // What is on other networks keeps out who finds a way by himself.
    await scene.get('a').run('ip', 'route', 'add', 'default', 'via', '10.210.0.1')
    await t.rejects(scene.get('a').ask('tcp', c4, ANSWERS, { withinMs: 300 }))
    // Nobody gets in who has a route to it.
    scene.client.route('10.210.0.0/24', HOST[4])
    await t.rejects(scene.client.ask('tcp', a4, ANSWERS, { withinMs: 300 }))
    t.match(
      await scene.get('c').ask('tcp', CLIENT[4], ANSWERS),
      { peer: HOST[4] },
      'another network goes out',
    )
  })

  t.test(
    `${backend}: only the host reaches containers' addresses, unless --direct lets others in`,
    async t => {
      const { scene, network, join } = await withNetworks(t, backend, 'a', 'b', 'c')
      await network('create', 'front', '--ipv6')
      await network('create', 'back', '--ipv6', '--direct')
      const [a4 = '', a6 = ''] = await join('front', 'a')
      const [b4 = '', b6 = ''] = await join('back', 'b')
      for (const [address, via] of [
        ['10.210.0.0/16', HOST[4]],
        [a6.replace(/::.*/, '::/64'), HOST[6]],
        [b6.replace(/::.*/, '::/64'), HOST[6]],
      ] as const)
        scene.client.route(address, via)
      t.match(await scene.host.ask('tcp', a4, ANSWERS), { place: 'a' })
      for (const from of [scene.client, scene.get('b')]) {
        for (const address of [a4, a6])
          await t.rejects(from.ask('tcp', address, ANSWERS, { withinMs: 300 }), `${from.name} ${address}`)
      }
      for (const address of [b4, b6]) {
        t.match(await scene.client.ask('tcp', address, ANSWERS), { place: 'b' })
        t.match(await scene.get('a').ask('tcp', address, ANSWERS), { place: 'b' }, 'from another network')
      }
    },
  )

  t.test(
    `${backend}: without masquerade containers speak under their own addresses, --isolate keeps others out`,
    async t => {
      const { scene, network, join } = await withNetworks(t, backend, 'a', 'b')
      await network('create', 'open', '--no-masquerade', '--subnet', '10.61.0.0/24')
      await network('create', 'shut', '--no-masquerade', '--isolate', '--subnet', '10.62.0.0/24')
      const [a4 = ''] = await join('open', 'a')
      const [b4 = ''] = await join('shut', 'b')
      scene.client.route('10.61.0.0/24', HOST[4])
      scene.client.route('10.62.0.0/24', HOST[4])
      t.match(await scene.get('a').ask('tcp', CLIENT[4], ANSWERS), { peer: a4 })
      t.match(await scene.get('b').ask('tcp', CLIENT[4], ANSWERS), { peer: b4 })
      t.match(await scene.client.ask('tcp', a4, ANSWERS), { place: 'a' })
      await t.rejects(scene.client.ask('tcp', b4, ANSWERS, { withinMs: 300 }))
    },
  )
}

t.test(
  'with --no-icc containers reach the host and not one another; a layer 2 network gives no addresses',
  async t => {
    const { scene, network, join, inspect } = await withNetworks(t, 'nftables', 'a', 'b', 'c')
    await network('create', 'front', '--no-icc', '--mtu', '1400')
    const [, [b4 = '']] = [await join('front', 'a'), await join('front', 'b')]
    await t.rejects(scene.get('a').ask('tcp', b4, ANSWERS, { withinMs: 300 }))
    t.match(await scene.get('a').ask('tcp', CLIENT[4], ANSWERS), { peer: HOST[4] })
    t.match((await scene.get('a').run('ip', 'link', 'show', 'eth0')).stdout, /mtu 1400/)
    await network('create', 'wire', '--layer2')
    t.same(await join('wire', 'c'), [])
    t.match(await inspect('wire'), { pools: [], attachments: [{ name: 'c', addresses: [] }] })
  },
)

t.test(
  'with --names containers are told each other by their bridge, also on an internal network',
  async t => {
    const { network, join, tsnet } = await withNetworks(t, 'nftables', 'a', 'b', 'c')
    await tsnet.daemon()
    await network('create', 'front', '--names')
    await network('create', 'back', '--names', '--internal')
    await join('front', 'a')
    const [b4 = ''] = await join('front', 'b')
    const [c4 = ''] = await join('back', 'c')
    t.match((await tsnet.run('resolve', 'b')).stdout, b4)
    t.match((await tsnet.run('resolve', 'c')).stdout, c4)
  },
)
