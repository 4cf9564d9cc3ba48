import t from 'tap'
import type { Result } from '../../src/cni/config/previous.ts'
import { resultOf, shapeResult } from '../../src/cni/result.ts'
import { parseCidr } from '../../src/model/address/address.ts'
import type { Attachment, AttachRequest } from '../../src/model/network.ts'
import { type Version, versions } from '../../src/runtime/cni-versions.ts'
import { attachmentOf, callPlugin, requestOf } from '../support/cni-call.ts'

const request: AttachRequest = requestOf(await callPlugin())
const attachment = attachmentOf(request)

const shaped = (version: Version, previous?: Result, more: Partial<Attachment> = {}) =>
  shapeResult(resultOf({ ...attachment, ...more }, previous), version)

const names = ['cni0', 'veth1', 'eth0']
const macs = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:03']
const dns = { nameservers: ['10.1.0.1'], domain: 'test', search: ['front.test'] }
const interfaces = names.map((name, i) => ({ name, mac: macs[i] }))
const inSandbox = interfaces.with(2, { ...interfaces[2], sandbox: '/run/netns/web-1' } as never)
const routes = [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }, { dst: 'fd01::/64' }]

const expected: Record<Version, object> = {
  '0.1.0': old('0.1.0'),
  '0.2.0': old('0.2.0'),
  '0.3.0': middle('0.3.0'),
  '0.3.1': middle('0.3.1'),
  '0.4.0': middle('0.4.0'),
  '1.0.0': {
    cniVersion: '1.0.0',
    interfaces: inSandbox,
    ips: [
      { interface: 2, address: '10.1.0.2/16', gateway: '10.1.0.1' },
      { interface: 2, address: 'fd00::2/64' },
    ],
    routes,
    dns,
  },
  '1.1.0': {
    cniVersion: '1.1.0',
    interfaces: inSandbox.map(each => ({ ...each, mtu: 1500 })),
    ips: [
      { interface: 2, address: '10.1.0.2/16', gateway: '10.1.0.1' },
      { interface: 2, address: 'fd00::2/64' },
    ],
    routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1400, table: 254 }, { dst: 'fd01::/64' }],
    dns,
  },
}

function old(cniVersion: Version) {
  return {
    cniVersion,
    ip4: { ip: '10.1.0.2/16', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }] },
    ip6: { ip: 'fd00::2/64', routes: [{ dst: 'fd01::/64' }] },
    dns,
  }
}

function middle(cniVersion: Version) {
  return {
    cniVersion,
    interfaces: inSandbox,
    ips: [
      { version: '4', interface: 2, address: '10.1.0.2/16', gateway: '10.1.0.1' },
      { version: '6', interface: 2, address: 'fd00::2/64' },
    ],
    routes,
    dns,
  }
}

for (const version of versions) {
  t.test(`the result of ${version} has exactly the keys of that version`, async t => {
    t.strictSame(shaped(version), expected[version])
  })
}

t.test('empty lists and an empty dns are left out', async t => {
  const { dns: _, ...rest } = attachment
  const bare = shapeResult(resultOf({ ...rest, leases: [], routes: [] }), '1.1.0')
  t.same(Object.keys(bare), ['cniVersion', 'interfaces'])
})

t.test('the versions without interfaces cannot tell of a container without an address', async t => {
  for (const version of versions) {
    const shape = () => shaped(version, undefined, { leases: [] })
    if (version >= '0.3.0') t.doesNotThrow(shape, version)
    else {
      t.throws(
        shape,
        { code: 'incompatible-version', message: 'cannot convert: no valid IP addresses' },
        version,
      )
    }
  }
})

t.test('the versions without lists tell of the first address of each family', async t => {
  const leases = ['10.1.0.2/16', '10.2.0.2/16', 'fd00::2/64', 'fd01::2/64'].map(address => ({
    address: parseCidr(address),
  }))
  t.match(shaped('0.2.0', undefined, { leases }), { ip4: { ip: '10.1.0.2/16' }, ip6: { ip: 'fd00::2/64' } })
})

t.test('the device that shapes what the container sends is listed behind the others', async t => {
  const ifb = { name: 'bwp1', mac: '02:00:00:00:00:09', mtu: 1500 }
  t.same(
    resultOf({ ...attachment, ifb }).interfaces.map(each => each.name),
    [...names, 'bwp1'],
  )
})

const previous: Result = {
  interfaces: [
    { name: 'dummy0', mac: '02:00:00:00:00:0a', socketPath: '/run/s', pciID: '0000:00:1f.6', mtu: 9000 },
  ],
  ips: [{ address: parseCidr('192.0.2.1/24'), interface: 0 }],
  routes: [{ dst: parseCidr('192.0.2.0/24') }],
  dns: { nameservers: ['192.0.2.53'], search: [], options: ['ndots:2'] },
}

t.test('what other plugins made stays before ours, and all indices stay right', async t => {
  const result = shaped('1.1.0', previous) as unknown as Result
  t.same(
    result.interfaces.map(each => each.name),
    ['dummy0', ...names],
  )
  t.same(result.interfaces[0], previous.interfaces[0])
  t.same(
    result.ips.map(ip => [ip.address, result.interfaces[ip.interface ?? -1]?.name]),
    [
      ['192.0.2.1/24', 'dummy0'],
      ['10.1.0.2/16', 'eth0'],
      ['fd00::2/64', 'eth0'],
    ],
  )
  t.same(
    result.routes.map(route => route.dst),
    ['192.0.2.0/24', '0.0.0.0/0', 'fd01::/64'],
  )
})

t.test('our resolver settings overrule those before us, where we have any', async t => {
  t.same(resultOf(attachment, previous).dns, {
    nameservers: ['10.1.0.1'],
    search: ['front.test'],
    options: ['ndots:2'],
    domain: 'test',
  })
  const { dns: _, ...rest } = attachment
  t.same(resultOf(rest, previous).dns, previous.dns)
})

t.test('a version that does not know a key does not pass it on either', async t => {
  const text = JSON.stringify(shaped('1.0.0', previous))
  for (const key of ['mtu', 'socketPath', 'pciID', 'table', 'version"'])
    t.notOk(text.includes(`"${key}`), key)
})
