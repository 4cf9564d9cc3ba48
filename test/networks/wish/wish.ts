/** What somebody wants of a network, in words: what it comes to, and what is refused. */

import t from 'tap'
import { bridgeNames, listFor } from '../../../src/networks/list.ts'
import { type NetworkWords, readWish } from '../../../src/networks/wish/wish.ts'

function pluginFor(words: NetworkWords): Record<string, unknown> {
  const wish = readWish('front', words)
  const list = listFor(wish, { bridge: 'ts-front', ranges: wish.ranges, created: '2026-01-01T00:00:00.000Z' })
  return list.plugins[0] ?? {}
}

const subnet = ['10.1.0.0/24']
const base = { type: 'tsnet', bridge: 'ts-front', isDefaultGateway: true, ipMasq: true }
const ipam = { type: 'host-local', ranges: [[{ subnet: '10.1.0.0/24' }]] }
const capabilities = (...names: string[]) => Object.fromEntries(names.map(name => [name, true]))
const ALL = capabilities('portMappings', 'ips', 'egress', 'mac', 'dns', 'aliases', 'bandwidth')

t.test('options become keys of the plugin', async t => {
  t.same(pluginFor({ subnet }), { ...base, capabilities: ALL, ipam })
  const { ipMasq: _, ...open } = base
  t.same(pluginFor({ subnet, masquerade: false, isolate: true, icc: false }), {
    ...open,
    allowDirectRouting: false,
    portIsolation: true,
    capabilities: ALL,
    ipam,
  })
  const egressAddress = ['192.0.2.9', '2001:db8::9']
  t.match(pluginFor({ subnet, egressAddress }), {
    egress: { address: '192.0.2.9', address6: '2001:db8::9' },
  })
  t.match(pluginFor({ subnet, egressAddress, egress: ['192.0.2.7:443', 'host'] }), {
    egress: { address: '192.0.2.9', allow: ['192.0.2.7:443/tcp', 'host'] },
  })
  t.match(pluginFor({ subnet, egress: ['deny'] }), { egress: { allow: [] } })
  t.same(pluginFor({ subnet, names: true }), { ...base, names: true, capabilities: ALL, ipam })
  t.same(pluginFor({ subnet, direct: true, mtu: '1400', dns: ['10.9.9.9'] }), {
    ...base,
    allowDirectRouting: true,
    mtu: 1400,
    dns: { nameservers: ['10.9.9.9'] },
    capabilities: ALL,
    ipam,
  })
  t.same(
    pluginFor({ subnet, ingressRate: '100M', egressRate: '2.5mbit', route: ['10.9.0.7/16,10.1.0.7,100'] }),
    {
      ...base,
      ingressRate: 100_000_000,
      ingressBurst: 10_000_000,
      egressRate: 2_500_000,
      egressBurst: 250_000,
      capabilities: ALL,
      ipam: { ...ipam, routes: [{ dst: '10.9.0.0/16', gw: '10.1.0.7', priority: 100 }] },
    },
  )
})

t.test(
  'a default route has a metric, or is none of the network: the bridge has the address of a gateway all the same',
  async t => {
    const { isDefaultGateway: _, ...open } = { ...base, isGateway: true }
    t.same(pluginFor({ subnet, noDefaultRoute: true }), { ...open, capabilities: ALL, ipam })
    t.same(pluginFor({ subnet: [...subnet, 'fd00:1::/64'], metric: '200' }), {
      ...open,
      capabilities: ALL,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.1.0.0/24' }], [{ subnet: 'fd00:1::/64' }]],
        routes: [
          { dst: '0.0.0.0/0', priority: 200 },
          { dst: '::/0', priority: 200 },
        ],
      },
    })
  },
)

t.test('a network without a way out gives no default route, and publishes no ports', async t => {
  const { portMappings: _, ...without } = ALL
  t.same(pluginFor({ subnet, internal: true }), {
    type: 'tsnet',
    bridge: 'ts-front',
    isGateway: true,
    allowDirectRouting: false,
    capabilities: without,
    ipam,
  })
  const { ips: __, egress: ___, ...layer2 } = without
  t.same(pluginFor({ layer2: true }), { type: 'tsnet', bridge: 'ts-front', capabilities: layer2 })
  t.match(pluginFor({ layer2: true, uplink: 'eth1' }), { bridge: 'ts-front', uplink: 'eth1' })
})

t.test(
  'a part of a subnet is what containers get addresses from, but for those that nobody can have',
  async t => {
    const rangeOf = (whole: string, part: string) =>
      readWish('front', { subnet: [whole], ipRange: [part] }).ranges[0]
    t.match(rangeOf('10.1.0.0/24', '10.1.0.64/26'), { rangeStart: '10.1.0.64', rangeEnd: '10.1.0.127' })
    t.match(rangeOf('10.1.0.0/24', '10.1.0.0/25'), { rangeStart: '10.1.0.1', rangeEnd: '10.1.0.127' })
    t.match(rangeOf('10.1.0.0/24', '10.1.0.128/25'), { rangeStart: '10.1.0.128', rangeEnd: '10.1.0.254' })
    t.match(rangeOf('10.1.0.0/24', '10.1.0.5-10.1.0.9'), { rangeStart: '10.1.0.5', rangeEnd: '10.1.0.9' })
    t.match(rangeOf('10.1.0.0/24', '10.1.0.0-10.1.0.255'), { rangeStart: '10.1.0.1', rangeEnd: '10.1.0.254' })
    t.match(rangeOf('fd00:1::/64', 'fd00:1::/80'), {
      rangeStart: 'fd00:1::1',
      rangeEnd: 'fd00:1::ffff:ffff:ffff',
    })
  },
)

t.test('what nobody asked for is chosen: IPv4, both with --ipv6, nothing beside what was given', async t => {
  const chosen = (words: NetworkWords) => readWish('front', words).choose
  t.same(chosen({}), [4])
  t.same(chosen({ ipv6: true }), [4, 6])
  t.same(chosen({ subnet }), [])
  t.same(chosen({ subnet, ipv6: true }), [6])
  t.same(chosen({ subnet: ['fd00:1::/64'] }), [])
  t.same(chosen({ subnet: ['fd00:1::/64'], ipv6: true }), [4])
  t.same(chosen({ layer2: true }), [])
})

t.test('what cannot be is refused, by the option and its value', async t => {
  const cases: [words: NetworkWords, message: RegExp][] = [
    [{ subnet: ['10.1.0.0'] }, /^--subnet: "10\.1\.0\.0" is not an address with a prefix length/],
    [{ subnet: ['10.1.0.0/33'] }, /^--subnet: "10\.1\.0\.0\/33"/],
    [{ subnet: ['10.1.0.0/16', '10.1.2.0/24'] }, /^--subnet: 10\.1\.2\.0\/24 overlaps with 10\.1\.0\.0\/16/],
    [{ gateway: ['10.1.0.1'] }, /^--gateway: 10\.1\.0\.1 needs the --subnet/],
    [
      { subnet, gateway: ['10.2.0.1'] },
      /^--gateway: 10\.2\.0\.1 is in no subnet of the network \(10\.1\.0\.0\/24\)/,
    ],
    [{ subnet, gateway: ['10.1.0.0'] }, /is the network address of 10\.1\.0\.0\/24/],
    [{ subnet, gateway: ['10.1.0.255'] }, /is the broadcast address/],
    [{ subnet, gateway: ['10.1.0.1', '10.1.0.2'] }, /has one gateway, not 10\.1\.0\.1 and 10\.1\.0\.2/],
    [{ subnet, gateway: ['gw'] }, /^--gateway: "gw" is not an IP address/],
    [{ subnet, ipRange: ['10.2.0.0/25'] }, /^--ip-range: 10\.2\.0\.0\/25 is in no subnet/],
    [{ subnet, ipRange: ['10.1.0.0/16'] }, /^--ip-range: 10\.1\.0\.0\/16 is not within 10\.1\.0\.0\/24/],
    [{ subnet, ipRange: ['10.1.0.9-10.1.0.5'] }, /^--ip-range: 10\.1\.0\.9-10\.1\.0\.5 ends before/],
    [{ subnet, ipRange: ['10.1.0.9-10.1.1.5'] }, /^--ip-range: .* is not within 10\.1\.0\.0\/24/],
    [{ internal: true, metric: '5' }, /^--internal gives containers no default route/],
    [{ noDefaultRoute: true, metric: '5' }, /^--no-default-route gives containers no default route/],
    [{ metric: '0' }, /^--metric: "0" is not a whole number/],
    [{ mtu: '67' }, /^--mtu: "67" is not a whole number from 68 to 65535/],
    [{ mtu: '1e3' }, /^--mtu: "1e3"/],
    [{ ingressRate: 'fast' }, /^--ingress-rate: "fast" is no number of bits a second/],
    [{ egressRate: '1' }, /^--egress-rate: "1"/],
    [{ route: ['10.9.0.0/16,10.1.0.7,1,2'] }, /^--route: .* has more than/],
    [{ route: ['10.9.0.0/16,here'] }, /^--route: "here" is not an IP address/],
    [{ dns: ['resolver'] }, /^--dns: "resolver" is not an IP address/],
    [{ interfaceName: 'much-too-long-a-name' }, /^--interface-name: .* is not an interface name/],
    [{ layer2: true, subnet }, /nothing for --subnet to say/],
    [{ layer2: true, names: true }, /nothing for --names to say/],
    [{ layer2: true, ipv6: true }, /nothing for --ipv6 to say/],
    [{ layer2: true, masquerade: false }, /nothing for --no-masquerade to say/],
    [{ uplink: 'eth1' }, /^--uplink is for --layer2/],
    [{ uplink: 'a/b', layer2: true }, /^--uplink: "a\/b" is not an interface name/],
    [{ egressAddress: ['gw'] }, /^--egress-address: "gw"/],
    [{ egressAddress: ['192.0.2.1', '192.0.2.2'] }, /of one family, of which there is one/],
    [{ egressAddress: ['192.0.2.1'], masquerade: false }, /for what is masqueraded/],
    [{ isolate: true, direct: true }, /the opposite of each other/],
    [{ internal: true, direct: true }, /no way to other machines/],
  ]
  for (const [words, message] of cases)
    t.throws(() => readWish('front', words), { code: 'invalid-environment', message }, JSON.stringify(words))
  for (const name of ['', '../x', '-x', 'a b', 'x'.repeat(129)])
    t.throws(() => readWish(name, {}), { code: 'invalid-environment', message: /^the name/ }, name)
  t.throws(() => pluginFor({ subnet: ['fd00:1::/64'], mtu: '1279' }), { message: /^--mtu: with IPv6/ })
  t.throws(() => pluginFor({ subnet: ['10.1.0.0/31'] }), { message: /too small/ })
})

t.test(
  'a bridge is called like its network where that fits, and every name is one that the kernel takes',
  async t => {
    t.equal(bridgeNames('front')[0], 'ts-front')
    for (const network of ['front', 'x'.repeat(12), 'x'.repeat(13), 'x'.repeat(128), 'a.b_c-d']) {
      const names = bridgeNames(network)
      t.ok(names.length >= 3 && names.every(name => /^[A-Za-z0-9_.-]{1,15}$/.test(name)), names.join())
    }
    t.notSame(bridgeNames('x'.repeat(13)), bridgeNames('x'.repeat(14)))
  },
)
