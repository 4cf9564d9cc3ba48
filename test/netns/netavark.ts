/**
 * What podman from 5 on asks of a driver plugin, with requests that a real one made (test/golden/netavark): networks,
 * containers, whatever comes twice, late or not at all. test/clients/netavark.ts has the real podman.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { callPlugin, golden, type Reply } from '../support/netavark.ts'
import { filesOf, residue, type Stage, withNetworks } from '../support/networks.ts'
import { ANSWERS, BACKENDS, CLIENT, HOST } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

/** Where podman has its networks. */
const NETWORKS = '/etc/containers/networks'

interface Podman extends Stage {
  create: (name: string, more?: object) => Promise<Reply>
  /** Of podman's file of it, as it does. */
  keep: (network: object & { name?: unknown }) => void
  container: (verb: 'setup' | 'teardown', network: object, more?: object, options?: object) => Promise<Reply>
}

async function withPodman(
  t: Test,
  backend: (typeof BACKENDS)[number],
  ...containers: string[]
): Promise<Podman> {
  const stage = await withNetworks(t, backend, ...containers)
  const { host } = stage.scene
  await host.tmpfs(NETWORKS)
  await stage.scene.remember()
  return {
    ...stage,
    create: (name, more = {}) =>
      callPlugin(host, backend, ['create'], { ...golden('create'), name, ...more }),
    keep: network => writeFileSync(host.path(`${NETWORKS}/${network.name}.json`), JSON.stringify(network)),
    container: (verb, network, more = {}, options = {}) => {
      const request = golden('setup')
      const { netns = '/run/netns/web', ...others } = more as { netns?: string }
      return callPlugin(host, backend, [verb, netns], {
        ...request,
        network,
        ...others,
        network_options: { ...(request.network_options as object), ...options },
      })
    },
  }
}

for (const backend of BACKENDS) {
  t.test(
    `${backend}: a network of podman's has containers with what they ask for, and leaves nothing`,
    async t => {
      const podman = await withPodman(t, backend, 'web', 'db')
      const { scene, create, keep, container, inspect, network } = podman
      const { said } = await create('front', { subnets: [{ subnet: '10.77.0.0/24' }] })
      t.match(said, {
        ...golden('create'),
        network_interface: 'ts-front',
        subnets: [{ subnet: '10.77.0.0/24', gateway: '10.77.0.1' }],
        ipam_options: { driver: 'tsnet' },
        dns_enabled: true,
      })
      keep(said)
      const web = await container('setup', said)
      t.strictSame(web, {
        code: 0,
        stderr: '',
        said: {
          dns_search_domains: ['tsnet.internal'],
          dns_server_ips: ['10.77.0.1'],
          interfaces: {
            net7: {
              mac_address: 'aa:bb:cc:00:00:01',
              subnets: [{ ipnet: '10.77.0.44/24', gateway: '10.77.0.1' }],
            },
          },
        },
      })
      const db = {
        container_id: 'd'.repeat(64),
        container_name: 'db',
        netns: '/run/netns/db',
        port_mappings: null,
      }
      const anywhere = { static_ips: null, static_mac: null, interface_name: 'eth0', aliases: [] }
      t.match((await container('setup', said, db, anywhere)).said, {
        interfaces: { eth0: { mac_address: String, subnets: [{ ipnet: /^10\.77\.0\.\d+\/24$/ }] } },
      })
      // Ports 8080 to 8082 lead to 80 to 82.
      t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'web', peer: CLIENT[4] })
      t.match(await scene.get('db').ask('tcp', '10.77.0.44', ANSWERS), { place: 'web' })
      t.match((await inspect('front')).attachments.map(({ name, ports }) => [name, ports.length]).sort(), [
        ['db', 0],
        ['web', 3],
      ])

      t.same(await container('teardown', said), { code: 0, stderr: '', said: {} })
      t.same(await container('teardown', said), { code: 0, stderr: '', said: {} }, 'once more')
      const gone = { ...db, netns: '/run/netns/none' }
      t.same(
        await container('teardown', said, gone, anywhere),
        { code: 0, stderr: '', said: {} },
        'its namespace is gone',
      )
      t.same((await inspect('front')).attachments, [])
      t.match(
        await podman.tsnet.try('network', 'rm', 'front'),
        { code: 1, stderr: /podman network rm front/ },
        'podman has it still',
      )
      rmSync(scene.host.path(`${NETWORKS}/front.json`))
      await network('rm', 'front')
      t.same(await residue(podman), [])
    },
  )
}

t.test(
  'what was set up before is no more when podman sets it up again: after a reboot, or a kill',
  async t => {
    const podman = await withPodman(t, 'nftables', 'web', 'db')
    const { scene, create, container, inspect, network } = podman
    const { said } = await create('front', { subnets: [{ subnet: '10.77.0.0/24' }] })
    t.match(await container('setup', said), { code: 0 })
    t.match(await container('setup', said), { code: 0 }, 'twice in one namespace')
    t.match(
      await container('setup', said, { netns: '/run/netns/db' }),
      { code: 0 },
      'while the earlier one lives',
    )
    t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'db' })
    t.match((await inspect('front')).attachments, [{ name: 'web', netns: '/run/netns/db', alive: true }])
    t.same((await inspect('front')).attachments.length, 1)
    // Nothing of it is left but what libcni's cache says.
    rmSync(scene.host.path('/run/tsnet'), { recursive: true })
    t.match(await container('setup', said), { code: 0 }, 'the run directory is lost')
    t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'web' })
    t.match(await container('teardown', said), { code: 0 })
    await network('rm', 'front')
  },
)

t.test('options of podman become those of the network', async t => {
  const { create, container, inspect, scene } = await withPodman(t, 'nftables', 'web')
  const { name: _, ...full } = golden('create-full')
  const { said } = await create('full', {
    ...full,
    routes: [{ destination: '10.8.0.0/16', gateway: '10.77.0.9', metric: 5 }],
  })
  t.match(said, {
    network_interface: 'foo0',
    ipv6_enabled: true,
    internal: true,
    dns_enabled: true,
    labels: { a: 'b' },
    subnets: [
      {
        subnet: '10.77.0.0/24',
        gateway: '10.77.0.1',
        lease_range: { start_ip: '10.77.0.16', end_ip: '10.77.0.20' },
      },
      { subnet: /^fd/ },
    ],
  })
  const [plugin] = (await inspect('full')).configuration
  t.match(plugin, {
    mtu: 1400,
    bridge: 'foo0',
    allowDirectRouting: false,
    names: true,
    dns: { nameservers: ['9.9.9.9'] },
  })
  const asked = { static_ips: null, static_mac: null, interface_name: 'eth0' }
  t.match((await container('setup', said, {}, asked)).said, {
    interfaces: { eth0: { subnets: [{ ipnet: '10.77.0.16/24' }, { ipnet: /^fd.*\/64$/ }] } },
  })
  const routes = await scene.host.run('ip', '-n', 'web', 'route', 'show')
  t.match(routes.stdout, /10\.8\.0\.0\/16 via 10\.77\.0\.9 dev eth0 metric 5/)
  t.notMatch(routes.stdout, /default/)
  await container('teardown', said, {}, asked)

  const { name: __, ...part } = golden('create-part')
  t.match((await create('part', part)).said, {
    dns_enabled: false,
    subnets: [{ subnet: '10.78.0.0/24', lease_range: { start_ip: '10.78.0.129', end_ip: '10.78.0.254' } }],
  })
  const metric = await create('metric', { id: 'b'.repeat(64), options: { metric: '77' } })
  t.match(await container('setup', metric.said, { container_id: 'e'.repeat(64) }, asked), { code: 0 })
  const ways = await scene.host.run('ip', '-n', 'web', 'route', 'show', 'default')
  t.match(ways.stdout, /via .* dev eth0 metric 77/)
})

t.test(
  'a network that podman has removed goes: with the next of its name, and with the daemon that looks on',
  async t => {
    const podman = await withPodman(t, 'nftables', 'web')
    const { scene, create, keep, container, tsnet } = podman
    const id = (digit: string) => ({ id: digit.repeat(64) })
    const front = (await create('front')).said
    t.match(await create('front', id('1')), { code: 0 }, 'podman never wrote its file, and asks again')
    keep((await create('back', id('2'))).said)
    t.match(await create('back', id('3')), { code: 1, said: { error: /there is a network back already/ } })
    t.match(await container('setup', front), {
      code: 1,
      said: { error: /another network front than podman's/ },
    })

    const daemon = await tsnet.daemon()
    const used = (await create('used', id('4'))).said
    t.match(await container('setup', used, { port_mappings: null }, { static_ips: null }), {
      code: 0,
      said: { error: undefined },
    })
    keep(used)
    rmSync(scene.host.path(`${NETWORKS}/back.json`))
    await waitFor(async () => !filesOf(podman).includes('90-back.conflist'), {
      what: 'the list of back to go',
    })
    rmSync(scene.host.path(`${NETWORKS}/used.json`))
    t.match(await container('teardown', used), { code: 0 })
    await waitFor(async () => !filesOf(podman).includes('90-used.conflist'), {
      what: 'the list of used to go',
      withinMs: 100_000,
    })
    t.match(daemon.stderr, /network back is removed, as podman has removed its own/)
    t.match(await daemon.stop(), { code: 0 })
  },
)

t.test('`tsnet gc` takes away networks that podman has removed, and no other', async t => {
  const podman = await withPodman(t, 'nftables', 'web')
  const { scene, create, keep, container, tsnet, network } = podman
  const gc = async (...words: string[]): Promise<unknown[]> =>
    JSON.parse((await tsnet.run('gc', ...words, '--json')).stdout)
  const names = ['kept', 'used', 'gone', 'new']
  for (const [index, name] of names.entries()) {
    const { said } = await create(name, { id: String(index).repeat(64) })
    if (name === 'kept') keep(said)
    if (name === 'used') await container('setup', said, { port_mappings: null }, { static_ips: null })
  }
  // Of the new one podman may be about to write its file.
  for (const name of names.slice(0, -1)) {
    const list = scene.host.path(`/etc/cni/net.d/90-${name}.conflist`)
    const text = readFileSync(list, 'utf8').replace(/"created": "\d+/, '"created": "2020')
    writeFileSync(list, text)
  }
  const gone = { kind: 'network', what: 'gone' }
  t.match(await gc('--dry-run'), [{ ...gone, outcome: 'dead' }])
  t.match(await gc(), [{ ...gone, outcome: 'removed' }])
  t.same(await gc(), [])
  await scene.get('web').remove()
  t.match(await gc(), [
    { kind: 'attachment' },
    { kind: 'lease' },
    { kind: 'network', what: 'used', outcome: 'removed' },
  ])
  t.same(filesOf(podman), ['90-kept.conflist', '90-new.conflist'])
  await network('rm', '--force', 'kept', 'new')
})

t.test('what is wrong is said in the form of the protocol, and nothing is changed', async t => {
  const podman = await withPodman(t, 'nftables', 'web')
  const { scene, create, keep, container, network } = podman
  const made = (await create('front', { subnets: [{ subnet: '10.77.0.0/24' }] })).said
  keep(made)
  const files = filesOf(podman)
  const call = (words: string[], input: object | string) => callPlugin(scene.host, 'nftables', words, input)
  const cases: [words: string[], input: object | string, error: RegExp][] = [
    [['create'], `{"name":"${'x'.repeat(10_000_000)}"}`, /more than 10000000 bytes/],
    [['create'], { ...golden('create'), name: 'front' }, /there is a network front already/],
    [['setup', '/run/netns/none'], { ...golden('setup'), network: made }, /none/],
    [['teardown', '/run/netns/web'], '{', /not JSON/],
  ]
  for (const [words, input, error] of cases)
    t.match(await call(words, input), { code: 1, said: { error } }, `${words}`)
  const port = { container_port: 80, host_ip: '203.0.113.9', host_port: 8080, protocol: 'tcp', range: 1 }
  t.match(await container('setup', made, { port_mappings: [port] }), {
    code: 1,
    said: { error: /203\.0\.113\.9/ },
  })
  t.match(await container('setup', made, {}, { static_ips: ['192.0.2.9'] }), {
    code: 1,
    said: { error: /192\.0\.2\.9/ },
  })
  t.same(filesOf(podman), files)
  t.match((await call(['info'], '')).said, { version: String, api_version: '1.0.0' })
  rmSync(scene.host.path(`${NETWORKS}/front.json`))
  await network('rm', 'front')
  t.same(await residue(podman), [])
})
