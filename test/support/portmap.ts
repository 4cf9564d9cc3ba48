/** What the drop-in plugin portmap has to do, for each backend. */

import t from 'tap'
import { diff, type Host, snapshot, waitFor } from 'tsnet/lab'
import { chainNameOf } from '../../src/model/chained.ts'
import { portSetting } from './bridge-port.ts'
import { Chained, chainedSite, resultFor } from './nat-chain.ts'
import { addresses, FAMILIES, type Variant } from './nat-site.ts'
import type { CallOptions } from './plugin.ts'
import { answering, answers, arrives } from './reach.ts'

const PORT = 8080
const ports = (hostPort = PORT): NonNullable<CallOptions['ports']> => [
  { hostPort, containerPort: 80 },
  { hostPort, containerPort: 80, protocol: 'udp' },
]

/** Without the memory of connections, which ends by itself. */
const left = async (host: Host, before: Awaited<ReturnType<typeof snapshot>>): Promise<string[]> =>
  diff(before, await snapshot(host)).filter(line => !line.startsWith('connection '))

const settingOf = async (host: Host): Promise<string> =>
  (await host.run('cat', '/proc/sys/net/ipv4/conf/br1/route_localnet')).stdout.trim()

export function portmap(variant: Variant): void {
  t.setTimeout(600_000)
  const { name: title, backend } = variant

  t.test(`${title}: a port leads to the container from everywhere, and is gone with it`, async t => {
    const site = await chainedSite(t, variant)
    const { host, client } = site
    const [web, neighbour, stranger] = [site.get('web'), site.get('neighbour'), site.get('stranger')]
    const plugin = new Chained(site, 'portmap')
    const before = await snapshot(host)
    const result = await plugin.add('web', { ports: ports() })
    t.strictSame(result, { ...resultFor('web'), cniVersion: '1.0.0' }, 'the result is the one that was given')
    await plugin.check('web', { ports: ports() })
    for (const transport of ['tcp', 'udp'] as const) {
      for (const family of FAMILIES) {
        const lan = addresses.lan[family]
        t.match(await client.ask(transport, lan, PORT), { place: 'web', peer: addresses.client[family] })
        t.match(await host.ask(transport, lan, PORT), { place: 'web' }, 'the host')
        t.match(await web.ask(transport, lan, PORT), { place: 'web' }, 'the container itself')
        t.match(await neighbour.ask(transport, lan, PORT), { place: 'web' }, 'a neighbour')
        t.match(await stranger.ask(transport, lan, PORT), { place: 'web' }, 'of another network')
        t.match(await host.ask(transport, addresses.web[family], 80), { place: 'web' }, 'its own address')
      }
      t.match(await host.ask(transport, '127.0.0.1', PORT), { place: 'web', peer: addresses.br1[4] })
    }
    t.equal(await settingOf(host), '1')
    t.equal(
      await portSetting(host, 'to-web', 'hairpin'),
      'on',
      'bridged packets pass the rules here, and come back to where they came from',
    )
    await plugin.delete('web', { ports: ports() })
    t.equal(await portSetting(host, 'to-web', 'hairpin'), 'off')
    for (const transport of ['tcp', 'udp'] as const) {
      t.equal(await answering(client, transport, addresses.lan[4], PORT), 'nobody')
      t.equal(await answering(host, transport, '127.0.0.1', PORT), 'nobody')
    }
    t.strictSame(await left(host, before), [])
    await plugin.delete('web', { ports: ports() })
    t.strictSame(await left(host, before), [], 'twice')
  })

  t.test(`${title}: a UDP client reaches the next container on the same port`, async t => {
    const site = await chainedSite(t, variant)
    const plugin = new Chained(site, 'portmap')
    const ask = () => answering(site.client, 'udp', addresses.lan[4], PORT, 40_000)
    await plugin.add('web', { ports: ports() })
    t.equal(await ask(), 'web')
    await plugin.delete('web', { ports: ports() })
    t.equal(await ask(), 'nobody')
    await plugin.add('neighbour', { ports: ports() })
    t.equal(await ask(), 'neighbour', 'from the same port as before')
  })

  t.test(`${title}: loopback addresses from outside are dropped`, async t => {
    const site = await chainedSite(t, variant)
    const { host, client } = site
    const [web, neighbour] = [site.get('web'), site.get('neighbour')]
    const published = web.listen('udp', 91)
    const own = host.listen('udp', 9999, '127.0.0.1')
    for (const [place, via] of [
      [client, addresses.lan[4]],
      [neighbour, addresses.br1[4]],
    ] as const) {
      await place.run('ip', 'addr', 'del', '127.0.0.1/8', 'dev', 'lo')
      await place.run('ip', 'route', 'add', '127.0.0.1/32', 'via', via)
    }
    const mapping = [{ hostPort: 9191, containerPort: 91, protocol: 'udp', hostIP: '127.0.0.1' }]
    const plugin = new Chained(site, 'portmap')
    const attack = async (text: string) => {
      return {
        port: await arrives(client, '127.0.0.1', 9191, published, text),
        host: await arrives(neighbour, '127.0.0.1', 9999, own, text),
      }
    }
    await plugin.add('web', { ports: mapping })
    t.match(await host.ask('udp', '127.0.0.1', 9191), { place: 'web' })
    t.strictSame(await attack('ours'), { port: false, host: false })
    await plugin.delete('web', { ports: mapping })
    t.equal(await settingOf(host), '0')
    await plugin.add('web', { ports: mapping, config: { snat: false } })
    t.strictSame(await attack('no snat'), { port: false, host: false })
    await plugin.delete('web', { ports: mapping })
    await t.test('control: the reference lets both through', async t => {
      await plugin.add('web', { ports: mapping }, 'theirs')
      t.match(await host.ask('udp', '127.0.0.1', 9191), { place: 'web' })
      t.strictSame(await attack('theirs'), { port: true, host: true })
    })
  })

  t.test(`${title}: DEL needs neither result, ports, namespace nor record`, async t => {
    const site = await chainedSite(t, variant)
    const { host } = site
    const plugin = new Chained(site, 'portmap')
    const before = await snapshot(host)
    const nothing: CallOptions = { netns: '' }
    const bare = () => plugin.get('ours').delete('web', nothing)
    await plugin.add('web', { ports: ports() })
    await bare()
    t.strictSame(await left(host, before), [])
    await plugin.add('web', { ports: ports() })
    await host.run('rm', '-r', '/run/tsnet')
    await bare()
    t.equal(await answering(site.client, 'tcp', addresses.lan[4], PORT), 'nobody')
    const chain = chainNameOf('CNI-DN-', 'front', 'web')
    t.notMatch(await site.rules(), backend === 'iptables' ? new RegExp(chain) : /comment "web"/)
  })

  t.test(`${title}: a port goes to one container, and not to one that a process has`, async t => {
    const site = await chainedSite(t, variant)
    const { host, client } = site
    const plugin = new Chained(site, 'portmap')
    await plugin.add('web', { ports: ports() })
    const rules = await site.rules()
    await t.rejects(
      plugin.add('neighbour', { ports: ports() }),
      /8080\/tcp is already published for container web/,
    )
    t.equal(await site.rules(), rules, 'nothing changed')
    host.listen('tcp', 9090)
    await t.rejects(plugin.add('neighbour', { ports: ports(9090) }), /9090\/tcp is already in use/)
    t.equal(await site.rules(), rules, 'nothing changed')
    t.equal(await answers(client, 'tcp', addresses.lan[4], PORT), 'web')

    await t.test('but for the runtime itself, which keeps the port for this container', async t => {
      const listen = `require('net').createServer().listen(9092)`
      host.start(process.execPath, '-e', listen, 'neighbour')
      const listens = `grep -qi ":$(printf %04X 9092) " /proc/net/tcp6`
      await waitFor(() => host.run('sh', '-c', listens), { what: 'the keeper of port 9092' })
      await t.rejects(plugin.add('stranger', { ports: [{ hostPort: 9092, containerPort: 80 }] }), /in use/)
      await plugin.add('neighbour', { ports: [{ hostPort: 9092, containerPort: 80 }] })
      t.equal(await answers(client, 'tcp', addresses.lan[4], 9092), 'neighbour')
      await plugin.delete('neighbour')
    })

    await t.test('a container that is no more keeps nobody from its port', async t => {
      await site.get('web').remove()
      await plugin.add('neighbour', { ports: ports() })
      t.equal(await answers(client, 'tcp', addresses.lan[4], PORT), 'neighbour')
    })
  })

  t.test(`${title}: GC takes what is no more`, async t => {
    const site = await chainedSite(t, variant)
    const { host, client } = site
    const plugin = new Chained(site, 'portmap', { cniVersion: '1.1.0' })
    const before = await snapshot(host)
    await plugin.add('web', { ports: ports() })
    await plugin.add('neighbour', { ports: ports(9090) })
    const ours = plugin.get('ours')
    await ours.collect(['web', 'neighbour'])
    await ours.collect(undefined)
    t.equal(await answers(client, 'tcp', addresses.lan[4], PORT), 'web')
    t.equal(await answers(client, 'tcp', addresses.lan[4], 9090), 'neighbour')
    await ours.collect(['neighbour'])
    t.equal(await answering(client, 'tcp', addresses.lan[4], PORT), 'nobody')
    t.equal(await answers(client, 'tcp', addresses.lan[4], 9090), 'neighbour')
    await site.get('neighbour').remove()
    await ours.collect(undefined)
    // The container that went took its link along, and with it the bridge's address.
    const others = (line: string) => !/neighbour|^link host br1 changed/.test(line)
    t.strictSame((await left(host, before)).filter(others), [])
    await ours.status()
  })

  t.test(`${title}: CHECK sees what is missing`, async t => {
    const site = await chainedSite(t, variant)
    const { host } = site
    const plugin = new Chained(site, 'portmap')
    const check = () => plugin.check('web', { ports: ports() })
    await t.rejects(check(), /lacks|leads/)
    await plugin.add('web', { ports: ports() })
    await check()
    await site.sysctl('net/ipv4/conf/br1/route_localnet', '0')
    await t.rejects(check(), /route_localnet/)
    await site.sysctl('net/ipv4/conf/br1/route_localnet', '1')
    await check()
    if (backend === 'nftables') await host.run('nft', 'flush', 'chain', 'ip', 'cni_hostport', 'hostports')
    else {
      const command = variant.name === 'iptables-legacy' ? 'iptables-legacy' : 'iptables'
      await host.run(command, '-t', 'nat', '-F', 'CNI-HOSTPORT-DNAT')
    }
    await t.rejects(check(), /lacks/)
  })

  t.test(`${title}: two interfaces of one container on one network`, async t => {
    const site = await chainedSite(t, variant)
    const { host, client } = site
    const plugin = new Chained(site, 'portmap')
    const before = await snapshot(host)
    const second = {
      ifname: 'eth1',
      ports: ports(9090),
      prevResult: {
        ...resultFor('web'),
        interfaces: [{ name: 'br1' }, { name: 'to-neighbour' }, { name: 'eth1', sandbox: '/run/netns/web' }],
        ips: [{ address: `${addresses.neighbour[4]}/24`, interface: 2 }],
      },
    }
    const reached = async () =>
      Promise.all([PORT, 9090].map(port => answering(client, 'tcp', addresses.lan[4], port)))
    await plugin.add('web', { ports: ports() })
    await plugin.add('web', second)
    t.strictSame(await reached(), ['web', 'neighbour'])
    await plugin.check('web', { ports: ports() })
    await plugin.delete('web', second)
    t.strictSame(await reached(), ['web', 'nobody'])
    await plugin.add('web', second)
    await plugin.delete('web', { ports: ports() })
    t.strictSame(await reached(), ['nobody', 'neighbour'])
    await plugin.delete('web', second)
    t.strictSame(await left(host, before), [])
  })

  t.test(`${title}: what is only passing through the host goes on`, async t => {
    const site = await chainedSite(t, variant)
    const { client, outside } = site
    await client.run('ip', 'route', 'add', '198.51.100.0/24', 'via', addresses.lan[4])
    await outside.run('ip', 'route', 'add', '192.0.2.0/24', 'via', addresses.wan[4])
    const plugin = new Chained(site, 'portmap')
    await plugin.add('web', { ports: ports(80) })
    t.equal(await answers(client, 'tcp', addresses.lan[4], 80), 'web')
    t.equal(await answers(client, 'tcp', addresses.outside[4], 80), 'outside')
  })

  t.test(`${title}: what fails has no effect`, async t => {
    const site = await chainedSite(t, variant)
    const plugin = new Chained(site, 'portmap')
    const before = await snapshot(site.host)
    const condition = backend === 'iptables' ? ['-m', 'nosuchmatch'] : ['nonsense', 'here']
    await t.rejects(plugin.add('web', { ports: ports(), config: { conditionsV4: condition } }))
    t.strictSame(await left(site.host, before), [])
  })

  t.test(`${title}: options of the reference`, async t => {
    const site = await chainedSite(t, variant)
    const { host, client, outside } = site
    const plugin = new Chained(site, 'portmap')
    const before = await snapshot(host)

    await plugin.add('web', { ports: ports(), config: { snat: false } })
    t.equal(await settingOf(host), '0', 'without snat loopback stays where it is')
    t.equal(await answers(client, 'tcp', addresses.lan[4], PORT), 'web')
    t.equal(await answering(host, 'tcp', '127.0.0.1', PORT), 'nobody')
    await plugin.delete('web')

    await plugin.add('web', { ports: ports(), config: { masqAll: true } })
    t.match(await client.ask('tcp', addresses.lan[4], PORT), { place: 'web', peer: addresses.br1[4] })
    await plugin.delete('web')

    const only =
      backend === 'iptables' ? ['-s', `${addresses.client[4]}/32`] : ['ip', 'saddr', addresses.client[4]]
    await plugin.add('web', { ports: ports(), config: { conditionsV4: only } })
    await plugin.check('web', { ports: ports(), config: { conditionsV4: only } })
    t.equal(await answers(client, 'tcp', addresses.lan[4], PORT), 'web')
    t.equal(await answering(outside, 'tcp', addresses.wan[4], PORT), 'nobody')
    t.equal(await answers(outside, 'tcp', addresses.wan[6], PORT), 'web', 'the other family has no condition')
    await plugin.delete('web')

    const places = [
      { hostPort: 81, containerPort: 80, hostIP: addresses.lan[4] },
      { hostPort: 82, containerPort: 80, hostIP: '0.0.0.0' },
      { hostPort: 83, containerPort: 80, hostIP: '::' },
      { hostPort: 84, containerPort: 80, hostIP: '203.0.113.7' },
    ]
    await plugin.add('web', { ports: places })
    t.equal(await answers(client, 'tcp', addresses.lan[4], 81), 'web')
    t.equal(await answering(outside, 'tcp', addresses.wan[4], 81), 'nobody')
    t.equal(await answers(client, 'tcp', addresses.lan[4], 82), 'web')
    t.equal(await answering(client, 'tcp', addresses.lan[6], 82), 'nobody')
    t.equal(await answering(client, 'tcp', addresses.lan[4], 83), 'nobody')
    t.equal(await answers(client, 'tcp', addresses.lan[6], 83), 'web')
    await host.run('ip', 'address', 'add', '203.0.113.7/32', 'dev', 'lan')
    await client.run('ip', 'route', 'add', '203.0.113.7/32', 'via', addresses.lan[4])
    t.equal(await answers(client, 'tcp', '203.0.113.7', 84), 'web', 'an address that came later')
    await host.run('ip', 'address', 'del', '203.0.113.7/32', 'dev', 'lan')
    await plugin.delete('web')
    t.strictSame(await left(host, before), [])
  })

  t.test(`${title}: keys in any case, as go-cni writes them`, async t => {
    const site = await chainedSite(t, variant)
    const plugin = new Chained(site, 'portmap')
    const portMappings = [{ HostPort: PORT, ContainerPort: 80, Protocol: 'TCP', HostIP: '' }]
    await plugin.add('web', { config: { runtimeConfig: { portMappings } } })
    t.equal(await answers(site.client, 'tcp', addresses.lan[4], PORT), 'web')
    await plugin.delete('web')
    t.equal(await answering(site.client, 'tcp', addresses.lan[4], PORT), 'nobody')
  })
}
