import t from 'tap'
import { readNetwork } from '../../../src/cni/config/config.ts'
import { readHostsOf } from '../../../src/cni/config/hosts.ts'
import { Json } from '../../../src/model/json/json.ts'

const bridge = { bridge: 'front0', isDefaultGateway: true }
const least = { engine: 'etcd', endpoints: ['http://10.0.0.1:2379'], subnet: '10.200.0.0/16' }
const read = (hosts: object, more: object = bridge) => readHostsOf({ ...more, hosts })
const call = {
  command: 'ADD',
  containerId: 'c',
  netns: '/x',
  ifname: 'eth0',
  args: '',
  path: [],
  allowOwnNetns: false,
} as const

t.test('a network of hosts needs an etcd and a subnet, and the rest has defaults', async t => {
  t.strictSame(read(least), {
    etcd: { endpoints: ['http://10.0.0.1:2379'], keys: '/tsnet' },
    pools: [{ subnet: '10.200.0.0/16', hostPrefix: 24 }],
    carrier: 'vxlan',
    port: 4789,
    routesKeptS: 3_600,
    prefixKeptS: 86_400,
  })
  t.equal(readHostsOf(bridge), undefined)
})

t.test('all of it can be said', async t => {
  const hosts = {
    ...least,
    endpoints: ['https://a.example:2379/', 'https://[fd00::1]:2379'],
    subnet6: 'fd00:200::/48',
    hostPrefix: 25,
    hostPrefix6: 60,
    carrier: 'routes',
    port: 8472,
    underlay: '192.168.0.0/16',
    prefix: '/mine/net',
    ca: '/etc/ca',
    cert: '/etc/cert',
    key: '/etc/key',
    user: 'tsnet',
    passwordFile: '/etc/password',
    routesKept: '10m',
    prefixKept: '2h',
  }
  t.match(read(hosts), {
    etcd: {
      endpoints: ['https://a.example:2379', 'https://[fd00::1]:2379'],
      keys: '/mine/net',
      ca: '/etc/ca',
      cert: '/etc/cert',
      key: '/etc/key',
      user: 'tsnet',
      passwordFile: '/etc/password',
    },
    pools: [
      { subnet: '10.200.0.0/16', hostPrefix: 25 },
      { subnet: 'fd00:200::/48', hostPrefix: 60 },
    ],
    carrier: 'routes',
    underlay: '192.168.0.0/16',
    routesKeptS: 600,
    prefixKeptS: 7_200,
  })
})

t.test('what is wrong is refused by its key', async t => {
  const wrong: [object, RegExp][] = [
    [{ engine: 'consul' }, /hosts.engine: "consul" is not "etcd"/],
    [{ engine: undefined }, /hosts.engine is not "etcd"/],
    [{ endpoints: [] }, /hosts.endpoints: \[\] is missing/],
    [{ endpoints: ['10.0.0.1:2379'] }, /hosts.endpoints\[0\]: .* is not a client URL/],
    [{ endpoints: ['http://u:p@10.0.0.1:2379'] }, /is not a client URL/],
    [{ endpoints: ['ftp://10.0.0.1'] }, /is not a client URL/],
    [{ subnet: undefined }, /hosts.subnet is missing/],
    [{ subnet: '10.200.0.1/16' }, /hosts.subnet: .* it would be 10.200.0.0\/16/],
    [{ subnet: 'fd00::/48' }, /hosts.subnet: .* subnet6/],
    [{ subnet6: '10.0.0.0/8' }, /hosts.subnet6: .* is no prefix of IPv6/],
    [{ hostPrefix: 16 }, /hosts.hostPrefix: 16 does not divide/],
    [{ hostPrefix: 30 }, /hosts.hostPrefix: 30/],
    [{ subnet: '10.0.0.0/24' }, /hosts.subnet: .* too small/],
    [{ hostPrefix6: 64 }, /hosts.hostPrefix6: 64 cannot be without subnet6/],
    [{ carrier: 'gre' }, /hosts.carrier: "gre" is neither/],
    [{ port: 0 }, /hosts.port/],
    [{ prefix: 'x' }, /hosts.prefix: "x" is not a beginning of keys/],
    [{ cert: '/a' }, /hosts.key is missing/],
    [{ key: '/a' }, /hosts.cert is missing/],
    [{ user: 'a' }, /hosts.passwordFile is missing/],
    [{ routesKept: 'long' }, /hosts.routesKept: "long" is not a time/],
    [{ routesKept: '1s' }, /hosts.routesKept: "1s" is less than 3s/],
    [{ prefixKept: '1m' }, /hosts.prefixKept: "1m" is less than routesKept/],
  ]
  for (const [more, message] of wrong) {
    t.throws(() => read({ ...least, ...more }), { message }, JSON.stringify(more))
  }
  t.throws(() => read(least, { bridge: 'front0' }), { message: /isGateway or isDefaultGateway/ })
  t.throws(() => readHostsOf({ ...bridge, hosts: [] }), { message: /is not an object/ })
})

t.test("addresses are the host's own: nothing else may say which", async t => {
  const network = (more: object) =>
    readNetwork(
      new Json({ name: 'front', ...bridge, hosts: least, ...more }, ''),
      '1.0.0',
      { ...call, path: [] } as never,
      {},
    )
  t.match(network({}).ipam, { kind: 'host-local', ranges: [] })
  t.match(network({ ipam: { type: 'host-local', dataDir: '/d', routes: [{ dst: '10.9.0.0/16' }] } }).ipam, {
    dataDir: '/d',
    routes: [{ dst: '10.9.0.0/16' }],
  })
  t.throws(() => network({ ipam: { type: 'dhcp' } }), {
    message: /ipam.type: "dhcp" cannot be beside "hosts"/,
  })
  t.throws(() => network({ ipam: { type: 'host-local', subnet: '10.1.0.0/16' } }), { message: /ipam.subnet/ })
  t.throws(() => network({ runtimeConfig: { ipRanges: [[{ subnet: '10.1.0.0/16' }]] } }), {
    message: /ipRanges/,
  })
})
