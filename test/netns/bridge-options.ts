/** What the options of a network do on a real kernel. */

import t from 'tap'
import { type Host, lab, type Namespace, type World } from 'tsnet/lab'
import { uplinkMtu } from '../../src/bridge/bridge.ts'
import type { LinkRequest } from '../../src/bridge/plan/plan.ts'
import { parseCidr, parseIp } from '../../src/model/address/address.ts'
import type { BridgeOptions } from '../../src/model/network.ts'
import { findLink } from '../../src/netlink/link/link.ts'
import { openNetlink } from '../../src/netlink/netlink.ts'
import { type Connected, connectOn, disconnectOn, releaseOn } from '../support/connect.ts'
import { linkRequest, ownerOf } from '../support/link-plan.ts'

interface Scene {
  world: World
  host: Host
  places: Record<'web' | 'db', Namespace>
  join(
    name: 'web' | 'db',
    options: Partial<BridgeOptions>,
    rest?: Parameters<typeof linkRequest>[1],
  ): Promise<Connected>
}

async function scene(): Promise<Scene> {
  const world = await lab()
  const host = await world.host('host')
  const places = { web: await host.namespace('web'), db: await host.namespace('db') }
  return {
    world,
    host,
    places,
    join: (name, options, rest = {}) =>
      connectOn(host, places[name], linkRequest(options, { owner: ownerOf(name), ...rest })),
  }
}

const look = (place: Host | Namespace, name: string) =>
  place.inside(() => {
    using nl = openNetlink()
    return findLink(nl, { name })
  })

const routesOf = async (place: Namespace, family: '-4' | '-6') =>
  (await place.run('ip', family, 'route', 'show', 'table', 'all')).stdout
    .split('\n')
    .filter(line => line !== '' && !/table local|proto kernel|^multicast/.test(line))
    .map(line =>
      line
        .trim()
        .replace(/ pref medium/, '')
        .replace(/\s+/g, ' '),
    )

t.test('the MTU comes from the uplink, on both ends and the bridge', async t => {
  const { world, host, places, join } = await scene()
  const out = await world.host('out')
  world.wire([host, 'lan0', '192.168.50.1/24', 'fd50::1/64'], [out, 'eth0', '192.168.50.2/24'])
  t.equal(host.inside(uplinkMtu), undefined, 'no default route')
  await host.run('sh', '-ec', 'ip link set lan0 mtu 1420; ip -6 route add default via fd50::2')
  t.equal(host.inside(uplinkMtu), 1420, 'IPv6 only')
  await host.run(
    'sh',
    '-ec',
    'ip link add low0 mtu 1300 up type veth peer name low1; ip link set low1 up; ip route add default dev low0 metric 10',
  )
  t.equal(host.inside(uplinkMtu), 1300, 'IPv4 first')
  await host.run('sh', '-ec', 'ip route add default via 192.168.50.2 metric 5')
  t.equal(host.inside(uplinkMtu), 1420, 'the lower metric')
  await host.run('sh', '-ec', 'ip route replace default via 192.168.50.2 metric 5 mtu 1380')
  t.equal(host.inside(uplinkMtu), 1380, 'a route may say less')
  await host.run(
    'sh',
    '-ec',
    'ip route add default dev low0 table 7; ip route add default dev low0 metric 1; ip link set low0 down',
  )
  t.equal(host.inside(uplinkMtu), 1380, 'neither other tables nor links that are down')

  const { hostInterface, containerInterface, bridge } = await join('web', {}, { uplinkMtu: 1380 })
  t.same([hostInterface.mtu, containerInterface.mtu, bridge.mtu], [1380, 1380, 1380])
  t.same(
    [look(host, hostInterface.name)?.mtu, look(places.web, 'eth0')?.mtu, look(host, 'cni0')?.mtu],
    [1380, 1380, 1380],
  )
  await host.run('sh', '-ec', 'ip link set low0 up; ip route flush default; ip route add default dev cni0')
  t.not(host.inside(uplinkMtu), 1380, 'a bridge of ours is no uplink')
  await world.end()
})

t.test('a configured MTU is that of both ends', async t => {
  const { world, host, places, join } = await scene()
  for (const [name, mtu] of [
    ['web', 9000],
    ['db', 65535],
  ] as const) {
    await join(name, { mtu })
    t.same([look(places[name], 'eth0')?.mtu], [mtu])
    await disconnectOn(host, ownerOf(name))
  }
  t.equal(await releaseOn(host, 'cni0'), true)
  const small = await join('web', { mtu: 68 })
  t.equal(small.containerInterface.mtu, 68)
  await world.end()
})

t.test('layer 2 only: the link is up and has nothing on it', async t => {
  const { world, places, join } = await scene()
  await join('web', {})
  const { stdout } = await places.web.run('ip', '-j', 'address', 'show', 'dev', 'eth0')
  const [link] = JSON.parse(stdout)
  t.equal(link.operstate, 'UP')
  t.same(
    link.addr_info.filter((address: { scope: string }) => address.scope === 'global'),
    [],
  )
  await world.end()
})

t.test('routes get their gateways and keep their keys, in both families', async t => {
  const { world, places, join } = await scene()
  const routes: LinkRequest['routes'] = [
    { dst: parseCidr('192.168.7.0/24'), mtu: 1400, advmss: 1360, priority: 50 },
    { dst: parseCidr('192.168.8.0/24'), gw: parseIp('172.16.0.1'), table: 100 },
    { dst: parseCidr('192.168.9.0/24'), scope: 253 },
    { dst: parseCidr('192.168.10.0/24'), gw: parseIp('10.1.0.7') },
    { dst: parseCidr('192.168.10.0/24'), gw: parseIp('10.1.0.8') },
    { dst: parseCidr('2001:db8::/32'), priority: 7 },
    { dst: parseCidr('2001:db9::/32'), gw: parseIp('fe80::1'), table: 100 },
    { dst: parseCidr('2001:dba::/32'), gw: parseIp('fd01::7') },
    { dst: parseCidr('2001:dba::/32'), gw: parseIp('fd01::8') },
  ]
  await join('web', { isDefaultGateway: true }, { leases: ['10.1.0.2/24', 'fd01::2/64'], routes })
  t.same(await routesOf(places.web, '-4'), [
    '192.168.8.0/24 via 172.16.0.1 dev eth0 table 100 onlink',
    'default via 10.1.0.1 dev eth0',
    '192.168.7.0/24 via 10.1.0.1 dev eth0 metric 50 mtu 1400 advmss 1360',
    '192.168.9.0/24 dev eth0 scope link',
    '192.168.10.0/24 via 10.1.0.7 dev eth0',
    '192.168.10.0/24 via 10.1.0.8 dev eth0',
  ])
  t.same(await routesOf(places.web, '-6'), [
    '2001:db9::/32 via fe80::1 dev eth0 table 100 metric 1024',
    '2001:db8::/32 via fd01::1 dev eth0 metric 7',
    '2001:dba::/32 metric 1024',
    'nexthop via fd01::7 dev eth0 weight 1',
    'nexthop via fd01::8 dev eth0 weight 1',
    'default via fd01::1 dev eth0 metric 1024',
  ])
  await world.end()
})

t.test('a gateway outside the subnets is reached all the same', async t => {
  const { world, host, places, join } = await scene()
  await join(
    'web',
    { isDefaultGateway: true },
    { leases: ['10.1.0.2/32 via 169.254.1.1', 'fd01::2/128 via fe80::1'] },
  )
  await host.run(
    'sh',
    '-ec',
    'ip route add 10.1.0.2 dev cni0; ip route add fd01::2 dev cni0; ip address add 10.77.0.1/32 dev lo; ip address add fd77::1/128 dev lo',
  )
  host.listen('tcp', 7)
  t.match(await places.web.ask('tcp', '10.77.0.1', 7), { place: 'host' })
  t.match(await places.web.ask('tcp', 'fd77::1', 7), { place: 'host' })
  await world.end()
})

t.test('isolated ports reach their gateway and not each other; others reach both', async t => {
  for (const portIsolation of [true, false]) {
    const { world, host, places, join } = await scene()
    const options = { isGateway: true, portIsolation }
    const { hostInterface } = await join('web', options, { leases: ['10.1.0.2/24', 'fd01::2/64'] })
    await join('db', options, { leases: ['10.1.0.3/24', 'fd01::3/64'] })
    t.equal(look(host, hostInterface.name)?.port?.isolated, portIsolation)
    host.listen('tcp', 7)
    places.db.listen('tcp', 7)
    for (const [gateway, neighbour] of [
      ['10.1.0.1', '10.1.0.3'],
      ['fd01::1', 'fd01::3'],
    ] as const) {
      t.match(await places.web.ask('tcp', gateway, 7), { place: 'host' })
      const asked = places.web.ask('tcp', neighbour, 7, { withinMs: 300 })
      if (portIsolation) await t.rejects(asked, { name: 'NoAnswer' }, neighbour)
      else t.match(await asked, { place: 'db' }, neighbour)
    }
    await world.end()
  }
})

t.test(
  'hairpin is on when asked for or when ports are published; promiscMode makes the bridge promiscuous',
  async t => {
    const { world, host, join } = await scene()
    const plain = await join('db', {})
    t.equal(look(host, plain.hostInterface.name)?.port?.hairpin, false)
    t.equal(look(host, 'cni0')?.promiscuous, false)
    for (const [options, rest, hairpin] of [
      [{ hairpinMode: true }, {}, true],
      [{}, { hasPorts: true }, true],
      [{ promiscMode: true }, {}, false],
      [{ promiscMode: true }, { hasPorts: true }, true],
    ] as const) {
      const { hostInterface } = await join('web', options, rest)
      t.equal(look(host, hostInterface.name)?.port?.hairpin, hairpin)
      await disconnectOn(host, ownerOf('web'))
    }
    t.equal(look(host, 'cni0')?.promiscuous, true)
    await world.end()
  },
)

t.test('with disableContainerInterface the link is there and stays down', async t => {
  const { world, host, places, join } = await scene()
  const { hostInterface } = await join('web', { disableContainerInterface: true })
  t.match(look(places.web, 'eth0'), { up: false })
  t.match(look(host, hostInterface.name), { up: true, lowerUp: false })
  await world.end()
})

t.test('a container has a MAC of its own choice, and several interfaces', async t => {
  const { world, host, places } = await scene()
  const { web } = places
  const first = linkRequest(
    { isDefaultGateway: true },
    { owner: ownerOf('a'), mac: '02:AA:00:00:00:01', leases: ['10.1.0.2/24', 'fd01::2/64'] },
  )
  const second = linkRequest(
    { name: 'cni1', isDefaultGateway: true },
    { owner: ownerOf('b'), ifname: 'net1', leases: ['10.2.0.2/24', 'fd02::2/64'] },
  )
  const third = linkRequest(
    { isGateway: true },
    { owner: ownerOf('c'), ifname: 'net2', leases: ['10.1.0.9/24'] },
  )
  for (const request of [first, second, third]) await connectOn(host, web, request)
  t.equal(look(web, 'eth0')?.mac, '02:aa:00:00:00:01')
  host.listen('tcp', 7)
  for (const gateway of ['10.1.0.1', '10.2.0.1', 'fd01::1', 'fd02::1']) {
    t.match(await web.ask('tcp', gateway, 7), { place: 'host' }, gateway)
  }
  await disconnectOn(host, ownerOf('a'))
  t.same([look(web, 'eth0'), look(web, 'net1')?.up, look(web, 'net2')?.up], [undefined, true, true])
  await world.end()
})

t.test('VLANs: a kernel without VLAN filtering is named as the reason, and nothing is left', async t => {
  const { world, host, join } = await scene()
  // Where the kernel can filter VLANs, the port is in them.
  const { code } = await host.run(
    'sh',
    '-c',
    'ip link add probe0 type bridge && ip link set probe0 type bridge vlan_filtering 1 && bridge vlan add dev probe0 vid 7 self',
    { mayFail: true },
  )
  await host.run('sh', '-c', 'ip link delete probe0', { mayFail: true })
  const asked = join('web', { vlan: 100, vlanTrunk: [{ minID: 200, maxID: 210 }] })
  if (code !== 0) {
    await t.rejects(asked, { code: 'missing', message: /CONFIG_BRIDGE_VLAN_FILTERING/ })
    t.equal(look(host, 'cni0'), undefined)
  } else {
    const { hostInterface } = await asked
    const { stdout } = await host.run(
      'bridge',
      '-j',
      '-compressvlans',
      'vlan',
      'show',
      'dev',
      hostInterface.name,
    )
    t.match(JSON.parse(stdout), [
      {
        vlans: [
          { vlan: 100, flags: ['PVID', 'Egress Untagged'] },
          { vlan: 200, vlanEnd: 210 },
        ],
      },
    ])
  }
  await world.end()
})
