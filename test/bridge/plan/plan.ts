/** Plans: which combinations are refused, and what the others come to. */

import t from 'tap'
import { type LinkRequest, planLink } from '../../../src/bridge/plan/plan.ts'
import { parseCidr, parseIp } from '../../../src/model/address/address.ts'
import { fixedMacs, lease, linkRequest, OWNER } from '../../support/link-plan.ts'

const plan = (request: LinkRequest) => planLink(request, fixedMacs)
const refusal = (message: RegExp) => ({ name: 'TsnetError', code: 'invalid-config', message })

t.test('names that could be anything but an interface are refused', async t => {
  for (const name of [
    '',
    '-h',
    'a"b;c',
    '$(id)',
    'x%d',
    'all',
    'default',
    'lo',
    '.',
    '..',
    'a/b',
    'a b',
    'ü',
    'x'.repeat(16),
  ]) {
    t.throws(() => plan(linkRequest({ name })), refusal(/^bridge: /), `bridge ${JSON.stringify(name)}`)
    t.throws(
      () => plan(linkRequest({}, { ifname: name })),
      refusal(/^ifname: /),
      `ifname ${JSON.stringify(name)}`,
    )
  }
  for (const name of ['a', 'cni-podman0', 'br.lan_2', 'x'.repeat(15)]) t.ok(plan(linkRequest({ name })), name)
  t.ok(
    plan(linkRequest({}, { ifname: 'cni0' })),
    'a container may call its interface as the host calls the bridge',
  )
})

t.test('hairpinMode and promiscMode exclude each other', async t => {
  t.throws(
    () => plan(linkRequest({ hairpinMode: true, promiscMode: true })),
    refusal(/hairpinMode and promiscMode/),
  )
})

t.test('an interface that stays down cannot have addresses', async t => {
  const options = { disableContainerInterface: true }
  t.throws(
    () => plan(linkRequest(options, { leases: ['10.1.0.2/24'] })),
    refusal(/disableContainerInterface/),
  )
  t.equal(plan(linkRequest(options)).container.up, false)
})

t.test('an MTU is a whole number from 68 to 65535, and from 1280 with IPv6', async t => {
  for (const mtu of [0, 1, 67, 65536, -1, 1.5, Number.NaN]) {
    t.throws(() => plan(linkRequest({ mtu })), refusal(new RegExp(`^mtu: ${mtu} `)), String(mtu))
  }
  for (const mtu of [68, 1279, 65535]) t.equal(plan(linkRequest({ mtu })).container.mtu, mtu)
  const leases = ['fd00::2/64']
  t.throws(() => plan(linkRequest({ mtu: 1279 }, { leases })), refusal(/^mtu: 1279 .*IPv6/))
  t.equal(plan(linkRequest({ mtu: 1280 }, { leases })).container.mtu, 1280)
})

t.test('the MTU is that of the uplink on every link where none is configured', async t => {
  const { bridge, host, container } = plan(linkRequest({}, { uplinkMtu: 1420 }))
  t.same([bridge.mtu, host.mtu, container.mtu], [1420, 1420, 1420])
  t.equal(plan(linkRequest({ mtu: 9000 }, { uplinkMtu: 1420 })).host.mtu, 9000)
  t.equal(plan(linkRequest()).host.mtu, undefined, 'no uplink: the kernel decides')
  t.equal(
    plan(linkRequest({}, { uplinkMtu: 1000, leases: ['fd00::2/64'] })).host.mtu,
    1280,
    'IPv6 needs 1280',
  )
  t.equal(plan(linkRequest({}, { uplinkMtu: 65536 })).host.mtu, 65535, 'a bridge takes no more')
})

t.test('VLAN numbers are 1 to 4094', async t => {
  for (const vlan of [0, 4095, -1, 1.5])
    t.throws(() => plan(linkRequest({ vlan })), refusal(/^vlan: /), String(vlan))
  const trunk = (minID: number, maxID: number) => linkRequest({ vlanTrunk: [{ minID, maxID }] })
  t.throws(() => plan(trunk(0, 10)), refusal(/^vlanTrunk.minID: 0 /))
  t.throws(() => plan(trunk(10, 4095)), refusal(/^vlanTrunk.maxID: 4095 /))
  t.throws(() => plan(trunk(20, 10)), refusal(/minID 20 is greater than maxID 10/))
  t.same(plan(trunk(1, 4094)).host.vlans, { trunks: [{ minID: 1, maxID: 4094 }], keepDefault: true })
})

t.test('a port leaves VLAN 1 when it has a native VLAN of its own, unless told to stay', async t => {
  t.same(plan(linkRequest({ vlan: 100 })).host.vlans, { native: 100, trunks: [], keepDefault: false })
  t.equal(plan(linkRequest({ vlan: 100, preserveDefaultVlan: true })).host.vlans?.keepDefault, true)
  t.equal(plan(linkRequest({ vlan: 1 })).host.vlans?.keepDefault, true)
  t.equal(plan(linkRequest()).host.vlans, undefined)
})

t.test('the gateway of a VLAN is on an interface of its own', async t => {
  const leases = ['10.1.0.2/24']
  t.match(plan(linkRequest({ vlan: 100, isGateway: true }, { leases })).bridge.gatewayVlan, {
    id: 100,
    name: 'cni0.100',
  })
  t.equal(plan(linkRequest({ vlan: 100 }, { leases })).bridge.gatewayVlan, undefined)
  t.throws(
    () => plan(linkRequest({ name: 'bridge-number-1', vlan: 4094, isGateway: true }, { leases })),
    refusal(/^bridge: "bridge-number-1" leaves no room/),
  )
})

t.test('without isGateway the bridge gets no address', async t => {
  const { bridge, leases } = plan(linkRequest({}, { leases: ['10.1.0.2/24'] }))
  t.same(bridge.gateways, [])
  t.same(leases, [lease('10.1.0.2/24')], 'and no gateway is made up')
})

t.test(
  'with isGateway the bridge gets the gateway of each lease, or the first address of its subnet',
  async t => {
    const leases = [
      '10.1.0.7/16',
      '10.9.0.2/24 via 10.9.0.254',
      'fd00::7/64',
      '2001:db8::2/48 via 2001:db8::ff',
    ]
    const { bridge, ...rest } = plan(linkRequest({ isGateway: true }, { leases }))
    t.same(bridge.gateways, ['10.1.0.1/16', '10.9.0.254/24', 'fd00::1/64', '2001:db8::ff/48'])
    t.same(
      rest.leases.map(({ gateway }) => gateway),
      ['10.1.0.1', '10.9.0.254', 'fd00::1', '2001:db8::ff'],
    )
    t.same(rest.routes, [], 'isGateway alone makes no route')
  },
)

t.test('a gateway must not be the address of the container', async t => {
  for (const address of ['10.1.0.1/24', '10.1.0.2/24 via 10.1.0.2', 'fd00::1/64']) {
    t.throws(
      () => plan(linkRequest({ isGateway: true }, { leases: [address] })),
      refusal(/^gateway: /),
      address,
    )
  }
})

t.test('addresses that no interface can have are refused', async t => {
  for (const address of [
    '224.0.0.5/24',
    '240.0.0.1/24',
    '255.255.255.255/24',
    '127.0.0.2/8',
    '0.0.0.0/24',
    '::1/64',
    '::/64',
    'ff02::5/64',
  ]) {
    t.throws(() => plan(linkRequest({}, { leases: [address] })), refusal(/^address: /), address)
    const gateway = address.replace(/\/.*/, '')
    const given = `${gateway.includes(':') ? 'fd01::2/64' : '10.1.0.2/24'} via ${gateway}`
    t.throws(() => plan(linkRequest({}, { leases: [given] })), refusal(/^gateway: /), given)
  }
})

t.test('a gateway is of the family of its address', async t => {
  for (const given of ['10.1.0.2/24 via fd01::1', 'fd01::2/64 via 10.1.0.1']) {
    t.throws(() => plan(linkRequest({}, { leases: [given] })), refusal(/^gateway: .* different/), given)
  }
})

t.test('numbers of a route fit their fields', async t => {
  for (const [key, value] of Object.entries({
    table: 2 ** 32,
    priority: -1,
    mtu: 1.5,
    advmss: -1,
    scope: 256,
  })) {
    const route = { dst: parseCidr('192.168.0.0/24'), [key]: value }
    const asked = linkRequest({}, { leases: ['10.1.0.2/24'], routes: [route] })
    t.throws(() => plan(asked), refusal(new RegExp(`^routes\\.${key}: ${value} `)), key)
  }
})

t.test('a lease of a single address needs its gateway named', async t => {
  for (const address of ['10.1.0.5/32', 'fd00::5/128']) {
    t.throws(
      () => plan(linkRequest({ isGateway: true }, { leases: [address] })),
      refusal(/isGateway/),
      address,
    )
  }
  const { container } = plan(
    linkRequest({ isDefaultGateway: true }, { leases: ['10.1.0.5/32 via 169.254.1.1'] }),
  )
  t.match(container.routes, [{ gw: '169.254.1.1', onlink: true }])
})

t.test('gateways of one bridge must not overlap, in either family', async t => {
  for (const leases of [
    ['10.1.0.2/24 via 10.1.0.1', '10.1.0.3/24 via 10.1.0.254'],
    ['fd00::2/64', 'fd00::1:2/48 via fd00::9'],
  ]) {
    t.throws(() => plan(linkRequest({ isGateway: true }, { leases })), refusal(/overlap/), leases.join())
  }
  const same = plan(linkRequest({ isGateway: true }, { leases: ['10.1.0.2/24', '10.1.0.3/24'] }))
  t.same(same.bridge.gateways, ['10.1.0.1/24'], 'two addresses of one subnet share it')
})

t.test('isDefaultGateway implies isGateway and adds a default route for each family', async t => {
  const leases = ['10.1.0.2/24', '10.2.0.2/24', 'fd00::2/64']
  const { bridge, routes, container } = plan(linkRequest({ isDefaultGateway: true }, { leases }))
  t.same(bridge.gateways, ['10.1.0.1/24', '10.2.0.1/24', 'fd00::1/64'])
  t.same(routes, [
    { dst: '0.0.0.0/0', gw: '10.1.0.1' },
    { dst: '::/0', gw: 'fd00::1' },
  ])
  t.same(
    container.routes,
    routes.map(route => ({ ...route, onlink: false })),
  )
})

t.test('a default route with a gateway from the IPAM stays the only one', async t => {
  const routes = [{ dst: parseCidr('0.0.0.0/0'), gw: parseIp('10.1.0.9') }]
  const planned = plan(linkRequest({ isDefaultGateway: true }, { leases: ['10.1.0.2/24'], routes }))
  t.same(planned.routes, routes)
})

t.test('a default route of another table is another route', async t => {
  const route = { dst: parseCidr('0.0.0.0/0'), gw: parseIp('10.1.0.9'), table: 100 }
  const of = (table: number) =>
    plan(linkRequest({ isDefaultGateway: true }, { leases: ['10.1.0.2/24'], routes: [{ ...route, table }] }))
      .routes
  t.equal(of(100).length, 2)
  t.equal(of(254).length, 1)
})

t.test('a default route without a gateway becomes one route, through the gateway', async t => {
  const routes = [{ dst: parseCidr('0.0.0.0/0') }]
  const planned = plan(linkRequest({ isDefaultGateway: true }, { leases: ['10.1.0.2/24'], routes }))
  t.same(planned.container.routes, [{ dst: '0.0.0.0/0', gw: '10.1.0.1', onlink: false }])
})

t.test('routes keep their keys, and get the gateway of their family where they have none', async t => {
  const routes = [
    { dst: parseCidr('192.168.7.9/24'), mtu: 1400, advmss: 1360, priority: 50, table: 7 },
    { dst: parseCidr('192.168.8.0/24'), scope: 253 },
    { dst: parseCidr('2001:db8::/32') },
    { dst: parseCidr('192.168.9.0/24'), gw: parseIp('172.16.0.1') },
    { dst: parseCidr('2001:db9::/32'), gw: parseIp('fe80::1') },
  ]
  const leases = ['10.1.0.2/24 via 10.1.0.1', 'fd00::2/64 via fd00::1']
  t.same(plan(linkRequest({}, { leases, routes })).container.routes, [
    { dst: '192.168.7.0/24', mtu: 1400, advmss: 1360, priority: 50, table: 7, gw: '10.1.0.1', onlink: false },
    { dst: '192.168.8.0/24', scope: 253, onlink: false },
    { dst: '2001:db8::/32', gw: 'fd00::1', onlink: false },
    { dst: '192.168.9.0/24', gw: '172.16.0.1', onlink: true },
    { dst: '2001:db9::/32', gw: 'fe80::1', onlink: false },
  ])
})

t.test('a route of a family in which the container has no address is left out', async t => {
  const routes = [{ dst: parseCidr('0.0.0.0/0') }, { dst: parseCidr('::/0') }]
  const planned = plan(linkRequest({ isGateway: true }, { leases: ['10.1.0.2/24'], routes }))
  t.same(planned.container.routes, [{ dst: '0.0.0.0/0', gw: '10.1.0.1', onlink: false }])
})

t.test(
  'a route cannot go through the other address family, nor through a gateway when it is direct',
  async t => {
    const leases = ['10.1.0.2/24', 'fd00::2/64']
    for (const route of [
      { dst: parseCidr('0.0.0.0/0'), gw: parseIp('fd00::1') },
      { dst: parseCidr('10.3.0.0/24'), gw: parseIp('10.1.0.1'), scope: 253 },
    ]) {
      t.throws(() => plan(linkRequest({}, { leases, routes: [route] })), refusal(/^routes: /), route.dst)
    }
  },
)

t.test('published ports turn hairpin on', async t => {
  t.equal(plan(linkRequest()).host.hairpin, false)
  t.equal(plan(linkRequest({ hairpinMode: true })).host.hairpin, true)
  t.equal(plan(linkRequest({}, { hasPorts: true })).host.hairpin, true)
  t.equal(plan(linkRequest({ promiscMode: true }, { hasPorts: true })).host.hairpin, true)
})

t.test('the host end follows from the owner alone and its MAC is higher than any other', async t => {
  const { host } = planLink(linkRequest())
  t.same(host.names, ['veth01234567', 'veth89abcdef'])
  t.equal(host.alias, `tsnet:${OWNER}`)
  t.equal(host.mac, 'fe:67:89:ab:cd:ef')
})

t.test('a MAC must be that of one interface', async t => {
  t.equal(plan(linkRequest({}, { mac: '02:AB:00:00:00:01' })).container.mac, '02:ab:00:00:00:01')
  for (const mac of [
    '',
    '02:ab',
    '01:00:5e:00:00:01',
    'ff:ff:ff:ff:ff:ff',
    '00:00:00:00:00:00',
    '02:ab:00:00:00:zz',
  ]) {
    t.throws(() => plan(linkRequest({}, { mac })), refusal(/^mac: /), mac)
  }
  const random = planLink(linkRequest())
  t.match(random.container.mac, /^.[26ae](:[0-9a-f]{2}){5}$/, 'locally administered, unicast')
  t.match(random.bridge.mac, /^0e:74:6e(:[0-9a-f]{2}){3}$/)
})

t.test('IPv6 is off in the container unless it has an IPv6 address', async t => {
  const settings = (leases: string[], enabledad = false) =>
    plan(linkRequest({ enabledad }, { leases })).container.settings.map(
      ({ name, value }) => `${name}=${value}`,
    )
  t.same(settings(['10.1.0.2/24']), ['net/ipv4/conf/eth0/arp_notify=1', 'net/ipv6/conf/eth0/disable_ipv6=1'])
  t.match(settings(['fd00::2/64']), ['net/ipv6/conf/eth0/disable_ipv6=0'])
  t.ok(settings(['fd00::2/64']).includes('net/ipv6/conf/eth0/accept_ra=0'))
  t.ok(settings(['fd00::2/64']).includes('net/ipv6/conf/eth0/accept_dad=0'))
  t.ok(settings(['fd00::2/64'], true).includes('net/ipv6/conf/eth0/accept_dad=1'))
  t.same(settings([]), [], 'layer 2 only: the container decides')
})

t.test(
  'a bridge of ours takes no router advertisement; a foreign one only where we are its gateway',
  async t => {
    const accept = [{ name: 'net/ipv6/conf/cni0/accept_ra', value: '0' }]
    t.match(plan(linkRequest()).bridge, { settings: accept, adoptedSettings: [] })
    const gateway = plan(linkRequest({ isGateway: true }, { leases: ['10.1.0.2/24'] }))
    t.match(gateway.bridge, { settings: accept, adoptedSettings: accept })
  },
)
