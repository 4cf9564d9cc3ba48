import { resolve } from 'node:path'
import t from 'tap'
import { readIpam } from '../../../src/cni/config/ipam.ts'
import { Json } from '../../../src/model/json/json.ts'
import { findSurroundings } from '../../../src/model/surroundings.ts'
import { type Version, versions } from '../../../src/runtime/cni-versions.ts'

const read = (config: object, version: Version = '1.1.0', path = ['/opt/cni/bin']) =>
  readIpam(new Json(config, ''), { version, path, args: 'IP=10.1.0.7' })

const local = (ipam: object, more: object = {}) => read({ ipam: { type: 'host-local', ...ipam }, ...more })

t.test('no ipam is a network of layer 2', async t => {
  for (const config of [{}, { ipam: {} }, { ipam: null }]) t.same(read(config), { kind: 'none' })
  t.throws(() => read({ ipam: { subnet: '10.1.0.0/16' } }), {
    code: 'invalid-config',
    message: /^ipam\.type is missing/,
  })
})

t.test('host-local is read with its defaults', async t => {
  t.same(local({ subnet: '10.1.0.0/16' }), {
    kind: 'host-local',
    ranges: [[{ subnet: '10.1.0.0/16' }]],
    dataDir: '/var/lib/cni/networks',
    routes: [],
  })
})

t.test('every key of host-local is read', async t => {
  const range = {
    subnet: '10.1.0.0/16',
    rangeStart: '10.1.0.10',
    rangeEnd: '10.1.0.20',
    gateway: '10.1.0.254',
  }
  const routes = [
    { dst: '0.0.0.0/0' },
    { dst: 'fd01::/64', gw: 'fd00::1', mtu: 1400, advmss: 1360, priority: 100, table: 50, scope: 0 },
  ]
  t.same(local({ ranges: [[range]], routes, dataDir: '/run/leases', resolvConf: '/etc/resolv.conf' }), {
    kind: 'host-local',
    ranges: [[range]],
    routes,
    dataDir: '/run/leases',
    resolvConf: '/etc/resolv.conf',
  })
})

t.test('ranges come from the runtime first, then the old single one, then the list', async t => {
  const runtimeConfig = {
    ipRanges: [[{ Subnet: '10.3.0.0/16', RangeStart: '10.3.0.9', RangeEnd: '', Gateway: '' }]],
  }
  t.same(local({ subnet: '10.1.0.0/16', ranges: [[{ subnet: '10.2.0.0/16' }]] }, { runtimeConfig }), {
    kind: 'host-local',
    ranges: [
      [{ subnet: '10.3.0.0/16', rangeStart: '10.3.0.9' }],
      [{ subnet: '10.1.0.0/16' }],
      [{ subnet: '10.2.0.0/16' }],
    ],
    routes: [],
    dataDir: '/var/lib/cni/networks',
  })
})

t.test('a value of host-local that cannot be is refused with its key', async t => {
  const bad: [object, RegExp][] = [
    [{}, /^ipam\.ranges is missing/],
    [{ subnet: '10.1.0.0' }, /^ipam\.subnet: "10\.1\.0\.0" is not an address with a prefix length/],
    [{ subnet: '10.1.0.0/33' }, /^ipam\.subnet: "10\.1\.0\.0\/33"/],
    [{ subnet: 10 }, /^ipam\.subnet: 10 is not a string/],
    [{ ranges: [[]] }, /^ipam\.ranges\[0\]: \[\] is an empty set/],
    [{ ranges: [{ subnet: '10.1.0.0/16' }] }, /^ipam\.ranges\[0\]: .* is not a list/],
    [{ ranges: [[{}]] }, /^ipam\.ranges\[0\]\[0\]\.subnet is missing/],
    [{ ranges: [[{ subnet: '10.1.0.0/16', rangeStart: 'x' }]] }, /^ipam\.ranges\[0\]\[0\]\.rangeStart: "x"/],
    [{ subnet: '10.1.0.0/16', gateway: '10.1.0.1/16' }, /^ipam\.gateway/],
    [{ subnet: '10.1.0.0/16', dataDir: 'a\0b' }, /^ipam\.dataDir: "a\\u0000b" is not a path/],
    [{ subnet: '10.1.0.0/16', routes: [{}] }, /^ipam\.routes\[0\]\.dst is missing/],
    [
      { subnet: '10.1.0.0/16', routes: [{ dst: '10.2.0.1/16' }] },
      /has host bits set; the network is 10\.2\.0\.0\/16/,
    ],
    [
      { subnet: '10.1.0.0/16', routes: [{ dst: '0.0.0.0/0', gw: '::1' }] },
      /^ipam\.routes\[0\]\.gw: "::1" is of another/,
    ],
    [{ subnet: '10.1.0.0/16', routes: [{ dst: '0.0.0.0/0', scope: 256 }] }, /^ipam\.routes\[0\]\.scope: 256/],
    [{ subnet: '10.1.0.0/16', routes: [{ dst: '0.0.0.0/0', mtu: -1 }] }, /^ipam\.routes\[0\]\.mtu: -1/],
  ]
  for (const [ipam, message] of bad) t.throws(() => local(ipam), { code: 'invalid-config', message })
})

t.test('a relative path begins where the caller is', async t => {
  t.match(local({ subnet: '10.1.0.0/16', dataDir: 'a/../leases', resolvConf: './x' }), {
    dataDir: resolve('leases'),
    resolvConf: resolve('x'),
  })
  findSurroundings(() => ({ env: {}, directory: '/there', complain: () => {} }))
  t.match(local({ subnet: '10.1.0.0/16', dataDir: '../leases' }), { dataDir: '/leases' })
  findSurroundings(() => undefined)
})

t.test('a route has what it was given: host bits of IPv6, a gateway that is none', async t => {
  const routes = [{ dst: '1100:200::1/24' }, { dst: '10.9.0.0/16', gw: '0.0.0.0' }, { dst: '::/0', gw: '::' }]
  t.match(local({ subnet: '10.1.0.0/16', routes }), { routes })
})

t.test('before 0.3.0 a pool has one address of each family', async t => {
  const ipam = (...subnets: string[]) => ({
    ipam: { type: 'host-local', ranges: subnets.map(subnet => [{ subnet }]) },
  })
  for (const version of versions) {
    t.doesNotThrow(() => read(ipam('10.1.0.0/16', 'fd00::/64'), version), version)
    const two = () => read(ipam('10.1.0.0/16', '10.2.0.0/16'), version)
    if (version >= '0.3.0') t.doesNotThrow(two, version)
    else {
      t.throws(two, {
        code: 'incompatible-version',
        message: `CNI version ${version} does not support more than 1 address per family`,
      })
    }
  }
})

t.test('any other type is another plugin, found in CNI_PATH, with everything that came', async t => {
  const config = { name: 'front', ipam: { type: 'dhcp', foo: 1 } }
  t.same(read(config), {
    kind: 'delegated',
    delegation: { plugin: 'dhcp', path: ['/opt/cni/bin'], args: 'IP=10.1.0.7', config },
  })
  t.throws(() => read(config, '1.1.0', []), {
    code: 'invalid-environment',
    message: /required env variables \[CNI_PATH\] missing: ipam\.type "dhcp"/,
  })
})

t.test('a plugin is a file name, not a path', async t => {
  for (const type of ['../../bin/sh', '/bin/sh', 'a/b', '..', '.', '-x', 'a b', 'a\u0000']) {
    t.throws(() => read({ ipam: { type } }), {
      code: 'invalid-config',
      message: /^ipam\.type: ".*" is not the file name of a plugin/,
    })
  }
})
