/**
 * Networks by hand: made, joined, looked at and removed as a person does it, and what is refused.
 *
 *     client eth0 ───── lan0 host ─── ts-front ── a, b
 *       192.168.50.2
 */

import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { Linted } from '../../src/networks/networks.ts'
import { FOLDER, filesOf, residue, withNetworks } from '../support/networks.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

for (const backend of BACKENDS) {
  t.test(
    `${backend}: a network is made, joined, looked at, kept while somebody is on it, and leaves nothing`,
    async t => {
      const stage = await withNetworks(t, backend, 'a', 'b')
      const { scene, network, attempt, join, leave, inspect } = stage
      t.equal((await network('create', 'front', '--ipv6')).stdout, 'front\n')
      t.same(filesOf(stage), ['90-front.conflist'])
      t.equal(statSync(scene.host.path(`${FOLDER}/90-front.conflist`)).mode & 0o777, 0o644)

      const [a4 = '', a6 = ''] = await join('front', 'a')
      const [b4 = '', b6 = ''] = await join('front', 'b')
      t.match(await scene.get('a').ask('tcp', b4, ANSWERS), { place: 'b', peer: a4 })
      t.match(await scene.get('b').ask('udp', a6, ANSWERS), { place: 'a', peer: b6 })
      t.match(await scene.get('a').ask('tcp', CLIENT[4], ANSWERS), { peer: HOST[4] })

      const { attachments, pools, bridge } = await inspect('front')
      t.equal(bridge, 'ts-front')
      t.match(
        attachments.map(({ name, ifname, addresses, alive }) => [name, ifname, ...addresses, alive]).sort(),
        [
          ['a', 'eth0', new RegExp(`^${a4}/24$`), new RegExp(`^${a6}/64$`), true],
          ['b', 'eth0', new RegExp(`^${b4}/24$`), new RegExp(`^${b6}/64$`), true],
        ],
      )
      t.same(
        pools.map(({ used }) => used),
        [2, 2],
      )
      const refused = await attempt('rm', 'front')
      t.match(refused, {
        code: 1,
        stdout: '',
        stderr: /^tsnet: network front is in use by (a, b|b, a); take them off/,
      })
      t.same(filesOf(stage), ['90-front.conflist'])

      await leave('front', 'a')
      t.match(await attempt('rm', 'front'), { code: 1, stderr: /in use by b;/ })
      await leave('front', 'b')
      t.equal((await network('rm', 'front')).stdout, 'front\n')
      t.same(filesOf(stage), [])
      t.same(await residue(stage), [])
    },
  )

  t.test(`${backend}: with --force who is on a network is taken off it`, async t => {
    const stage = await withNetworks(t, backend, 'a', 'b')
    const { network, join } = stage
    await network('create', 'front')
    await join('front', 'a')
    await join('front', 'b')
    await network('rm', '--force', 'front')
    t.same(await residue(stage), [])
  })
}

t.test(
  'a subnet is chosen beside all that the host has, and one that is asked for is refused with what it meets',
  async t => {
    const stage = await withNetworks(t, 'nftables')
    const { scene, network, attempt, inspect } = stage
    const { host } = scene
    // An address, a route of a table of its own, a list of another plugin, a lease without a list.
    await host.run('ip', 'addr', 'add', '10.210.0.9/24', 'dev', 'lan0')
    await host.run('ip', 'route', 'add', '10.210.1.0/24', 'via', CLIENT[4], 'table', '77')
    mkdirSync(host.path(FOLDER), { recursive: true })
    const list = {
      cniVersion: '1.0.0',
      name: 'old',
      plugins: [
        { type: 'bridge', bridge: 'ts-front', ipam: { type: 'host-local', subnet: '10.210.2.0/24' } },
      ],
    }
    writeFileSync(host.path(`${FOLDER}/10-old.conflist`), JSON.stringify(list))
    mkdirSync(host.path('/var/lib/cni/networks/gone'), { recursive: true })
    writeFileSync(host.path('/var/lib/cni/networks/gone/10.210.3.7'), 'x')
    // A VPN that takes everything is a way out, and no network.
    await host.run('ip', 'route', 'add', '0.0.0.0/1', 'via', CLIENT[4])
    await host.run('ip', 'route', 'add', 'unreachable', '10.0.0.0/8')
    await network('create', 'front')
    t.match(
      await inspect('front'),
      { subnets: ['10.210.4.0/24'], bridge: /^ts-[0-9a-f]{12}$/ },
      'and ts-front is taken',
    )

    const met: [subnet: string, message: RegExp][] = [
      ['10.210.0.0/25', /overlaps with address 10\.210\.0\.9\/24 of lan0/],
      ['10.210.0.0/16', /overlaps with /],
      ['10.210.1.128/25', /overlaps with route 10\.210\.1\.0\/24 via 192\.168\.50\.2 over lan0 of table 77/],
      ['10.210.2.0/28', /overlaps with network old \(10\.210\.2\.0\/24\)/],
      ['10.210.3.0/24', /overlaps with the lease of 10\.210\.3\.7 on network gone/],
      ['10.210.4.0/24', /overlaps with network front/],
      ['fd50::/80', /overlaps with address fd50::1\/64 of lan0/],
    ]
    for (const [subnet, stderr] of met)
      t.match(await attempt('create', 'more', '--subnet', subnet), { code: 1, stdout: '', stderr }, subnet)
    t.same(filesOf(stage), ['10-old.conflist', '90-front.conflist'])

    const mine = {
      type: 'tsnet',
      bridge: 'lan0',
      ipam: { type: 'host-local', ranges: [[{ subnet: '10.210.1.0/25' }], [{ subnet: 'fd50::/80' }]] },
    }
    const checked = { cniVersion: '1.0.0', name: 'checked', plugins: [{ ...mine, bridge: 'br9' }, mine] }
    writeFileSync(host.path('/root/checked.conflist'), JSON.stringify(checked))
    const { code, stdout } = await stage.tsnet.try('check', '--json', '/root/checked.conflist')
    t.equal(code, 1)
    const [{ findings }] = JSON.parse(stdout) as [Linted]
    t.match(
      findings.filter(({ message }) => message.includes('overlaps')),
      [
        { plugin: 0, message: /10\.210\.1\.0\/25 overlaps with route 10\.210\.1\.0\/24 via 192\.168\.50\.2/ },
        { plugin: 0, message: /fd50::\/80 overlaps with address fd50::1\/64 of lan0/ },
      ],
      'what is of its own bridge is in no way of a network',
    )

    const listed = JSON.parse((await network('ls', '--json')).stdout) as { name: string; created?: string }[]
    t.match(listed, [
      { name: 'old', created: undefined },
      { name: 'front', created: /^20/ },
    ])
    t.equal((await network('ls', '-q', '--filter', 'made=true')).stdout, 'front\n')
    t.equal((await network('ls', '-q', '--filter', 'plugin=bridge')).stdout, 'old\n')
    t.match(await attempt('ls', '--filter', 'nam=x'), { code: 2, stderr: /did you mean "name"\?/ })
    t.match(await attempt('rm', 'old'), {
      code: 1,
      stderr: /was not made by tsnet network create.*10-old\.conflist/,
    })
    t.match(await attempt('rm', 'frond'), { code: 2, stderr: /no network "frond".*did you mean "front"\?/ })
    t.match(await attempt('inspect', 'front', 'none'), { code: 2, stdout: '' })
  },
)

t.test('a bridge that exists is adopted with its addresses; a name that is taken is refused', async t => {
  const { scene, network, attempt, join } = await withNetworks(t, 'nftables', 'a')
  const { host } = scene
  host.bridge('br0', { addresses: ['10.63.0.1/24'] })
  await network('create', 'home', '--interface-name', 'br0', '--subnet', '10.63.0.0/24')
  const [a4 = ''] = await join('home', 'a')
  t.match(await host.ask('tcp', a4, ANSWERS), { peer: '10.63.0.1' })
  t.match(await attempt('create', 'two', '--interface-name', 'br0'), {
    code: 1,
    stderr: /br0 is the bridge of network home/,
  })
  t.match(await attempt('create', 'two', '--interface-name', 'lan0'), {
    code: 1,
    stderr: /lan0 is there already, and is no bridge/,
  })
  t.match(await attempt('create', 'home'), { code: 1, stderr: /there is a network home already/ })
})

/**
 *     outside eth0 172.20.0.1 ───── wan0 ─── ts-wire ─── a 172.20.0.2, b 172.20.0.3
 */
t.test('with --uplink containers are on the wire of an interface, which is given back as it was', async t => {
  const stage = await withNetworks(t, 'nftables', 'a', 'b')
  const { scene, tsnet, network, attempt, join, leave } = stage
  const { host, world } = scene
  const outside = await world.host('outside')
  world.wire([host, 'wan0'], [outside, 'eth0', '172.20.0.1/24'])
  outside.listen('tcp', ANSWERS)
  await host.run('ip', 'link', 'set', 'wan0', 'down')
  await host.run('ip', 'link', 'add', 'br0', 'type', 'bridge')
  await host.run('ip', 'link', 'add', 'busy0', 'type', 'veth', 'peer', 'name', 'busy1')
  await host.run('ip', 'link', 'set', 'busy0', 'master', 'br0')
  await host.run('ip', 'link', 'add', 'way0', 'up', 'type', 'veth', 'peer', 'name', 'way1')
  await host.run('ip', 'route', 'add', '10.99.0.0/16', 'dev', 'way0')
  await scene.remember()

  const refusals: [uplink: string, stderr: RegExp][] = [
    [
      'lan0',
      /--uplink: lan0: it has the address 192\.168\.50\.1\/24 of this host, which would not be reached/,
    ],
    ['way0', /--uplink: way0: the route of this host to 10\.99\.0\.0\/16 leads over it/],
    ['busy0', /--uplink: busy0: it is a port of br0 already/],
    ['br0', /--uplink: br0: it is a bridge itself/],
    ['none0', /--uplink: none0: there is no such interface/],
  ]
  for (const [uplink, stderr] of refusals)
    t.match(await attempt('create', 'wire', '--layer2', '--uplink', uplink), { code: 1, stdout: '', stderr })
  t.match(await attempt('create', 'wire', '--uplink', 'wan0'), {
    code: 2,
    stderr: /--uplink is for --layer2/,
  })
  t.match(await attempt('create', 'wire', '--layer2', '--uplink', 'lo'), { code: 2, stderr: /--uplink/ })
  t.same(filesOf(stage), [])

  await network('create', 'wire', '--layer2', '--uplink', 'wan0')
  t.match(await attempt('create', 'two', '--layer2', '--uplink', 'wan0'), {
    code: 1,
    stderr: /wan0: it is that of network wire/,
  })
  t.match(await stage.inspect('wire'), { uplink: 'wan0', bridge: 'ts-wire' })
  t.match((await tsnet.run('inspect', 'wire')).stdout, /uplink +wan0/)

  // By now the host needs it.
  await host.run('ip', 'addr', 'add', '172.20.0.9/24', 'dev', 'wan0')
  const refused = await tsnet.try('attach', 'wire', 'netns:a')
  t.match(refused, {
    code: 1,
    stderr: /uplink: wan0 is not plugged into ts-wire: it has the address 172\.20\.0\.9/,
  })
  await host.run('ip', 'addr', 'del', '172.20.0.9/24', 'dev', 'wan0')
  t.same(await residue(stage), [])

  const isPort = async () =>
    / master ts-wire .*state UP/.test((await host.run('ip', '-o', 'link', 'show', 'wan0')).stdout)
  for (const [name, address] of [
    ['a', '172.20.0.2/24'],
    ['b', '172.20.0.3/24'],
  ] as const) {
    t.same(await join('wire', name), [])
    await scene.get(name).run('ip', 'addr', 'add', address, 'dev', 'eth0')
  }
  t.ok(await isPort())
  const reaches = async (name: string) =>
    t.match(await scene.get(name).ask('tcp', '172.20.0.1', ANSWERS), { place: 'outside' })
  for (const name of ['a', 'b']) await reaches(name)

  await host.run('ip', 'link', 'set', 'wan0', 'nomaster')
  t.match((await tsnet.run('inspect', 'a')).stdout, /uplink wan0 is no port of ts-wire/)
  t.match((await tsnet.try('reconcile', '--dry-run')).stdout, /uplink wan0 is no port of ts-wire/)
  await tsnet.run('reconcile')
  await reaches('a')
  const daemon = await tsnet.daemon()
  await waitFor(() => /./.test(daemon.stdout), { what: 'the daemon' })
  await host.run('ip', 'link', 'set', 'wan0', 'nomaster')
  await waitFor(isPort, { what: 'the daemon to put it back', withinMs: 30_000 })
  await daemon.stop()

  await leave('wire', 'a')
  t.ok(await isPort(), 'as long as somebody is on the network')
  await network('rm', '--force', 'wire')
  t.match((await host.run('ip', '-o', 'link', 'show', 'wan0')).stdout, /^(?!.* master ).*state DOWN/)
  t.same(await residue(stage), [])
})

t.test('of many who make networks at once none gets what another has, and a name is made once', async t => {
  const stage = await withNetworks(t, 'nftables')
  const names = Array.from({ length: 6 }, (_, i) => `n${i}`)
  await Promise.all(names.map(name => stage.network('create', name, '--ipv6')))
  const made = JSON.parse((await stage.network('ls', '--json')).stdout) as {
    subnets: string[]
    bridge: string
  }[]
  t.equal(new Set(made.flatMap(({ subnets }) => subnets)).size, 12)
  t.equal(new Set(made.map(({ bridge }) => bridge)).size, 6)
  const same = await Promise.all(names.map(() => stage.attempt('create', 'same')))
  t.same(same.map(({ code }) => code).sort(), [0, 1, 1, 1, 1, 1])
  t.equal(filesOf(stage).length, 7)
})

t.test('a disk that is full or cannot be written leaves nothing half there', async t => {
  const stage = await withNetworks(t, 'nftables')
  const { host } = stage.scene
  await stage.network('create', 'before')
  await host.run('mount', '-t', 'tmpfs', '-o', 'size=4k', 'small', FOLDER)
  await host.run('sh', '-c', `head -c 4096 /dev/zero > ${FOLDER}/full`)
  t.match(await stage.attempt('create', 'front'), {
    code: 1,
    stdout: '',
    stderr: /^tsnet: cannot write .*90-front\.conflist: ENOSPC/,
  })
  t.same(filesOf(stage), ['full'])
  await host.run('mount', '-o', 'remount,ro', FOLDER)
  t.match(await stage.attempt('create', 'front', '--json'), { code: 1, stdout: /"code": "io",\n.*EROFS/ })
  await host.run('umount', FOLDER)
  await stage.network('create', 'front')
  t.same(filesOf(stage), ['90-before.conflist', '90-front.conflist'])
  t.match(JSON.parse(readFileSync(host.path(`${FOLDER}/90-front.conflist`), 'utf8')), { name: 'front' })
})

t.test('subnets come from the pools of the settings, and that they are used up is said', async t => {
  const { scene, network, attempt, inspect } = await withNetworks(t, 'nftables')
  await scene.host.tmpfs('/etc/tsnet')
  const settings = '{"subnetPools": [{"base": "10.64.0.0/25", "size": 26}]}'
  writeFileSync(scene.host.path('/etc/tsnet/tsnetd.json'), settings)
  for (const [name, subnet] of [
    ['one', '10.64.0.0/26'],
    ['two', '10.64.0.64/26'],
  ] as const) {
    await network('create', name)
    t.same((await inspect(name)).subnets, [subnet])
  }
  t.match(await attempt('create', 'three'), { code: 1, stderr: /no IPv4 subnet is free in 10\.64\.0\.0\/25/ })
})
