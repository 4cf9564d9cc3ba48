import fc from 'fast-check'
import t from 'tap'
import { readPluginResult } from '../../src/ipam/plugin-result.ts'

const read = (result: unknown) => readPluginResult('fake', JSON.stringify(result))

t.test('a result of 1.1.0 gives addresses, routes with all their keys, and resolver settings', async t => {
  const result = {
    cniVersion: '1.1.0',
    ips: [
      { address: '10.1.0.2/24', gateway: '10.1.0.1' },
      { address: '2001:DB8:0::2/64', interface: 0 },
    ],
    routes: [
      { dst: '0.0.0.0/0' },
      { dst: '192.0.2.0/24', gw: '10.1.0.9', mtu: 1400, advmss: 1300, priority: 7, table: 100, scope: 253 },
    ],
    dns: { nameservers: ['10.1.0.1'], domain: 'example.net', search: ['a', 'b'], options: ['rotate'] },
  }
  t.same(read(result), {
    leases: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }, { address: '2001:db8::2/64' }],
    routes: [
      { dst: '0.0.0.0/0' },
      { dst: '192.0.2.0/24', gw: '10.1.0.9', mtu: 1400, advmss: 1300, priority: 7, table: 100, scope: 253 },
    ],
    dns: { nameservers: ['10.1.0.1'], domain: 'example.net', search: ['a', 'b'], options: ['rotate'] },
  })
})

t.test('a result of 0.3.x and 0.4.0 names the version of each address, which it shows', async t => {
  const ips = [{ version: '4', address: '10.1.0.2/24' }]
  t.same(read({ cniVersion: '0.4.0', ips, dns: {} }), {
    leases: [{ address: '10.1.0.2/24' }],
    routes: [],
  })
})

t.test('a result of 0.1.0 and 0.2.0 has a section for each family', async t => {
  const result = {
    cniVersion: '0.2.0',
    ip4: { ip: '10.1.0.2/24', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }] },
    ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0' }] },
  }
  t.same(read(result), {
    leases: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }, { address: 'fd00::2/64' }],
    routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }, { dst: '::/0' }],
  })
  t.same(read({ ip6: { ip: 'fd00::2/64' } }).leases, [{ address: 'fd00::2/64' }])
})

t.test("keys count in any case, null and Go's empty values as absent", async t => {
  const result = {
    IPs: [{ Address: '10.1.0.2/24', Gateway: '' }],
    Routes: [{ Dst: '0.0.0.0/0', GW: '' }],
    DNS: null,
    ip4: null,
    interfaces: null,
  }
  t.same(read(result), { leases: [{ address: '10.1.0.2/24' }], routes: [{ dst: '0.0.0.0/0' }] })
  t.same(read({ ips: [{ address: '10.1.0.2/24' }], routes: null }).routes, [])
})

t.test('what is of no use is refused, with the name of the plugin and the value', async t => {
  const wrong: [unknown, RegExp][] = [
    [null, /result\.ips is no list of addresses/],
    [[], /result: \[\] is not an object/],
    [{}, /result\.ips is no list of addresses/],
    [{ ips: [] }, /result\.ips: \[\] is no list of addresses/],
    [{ ips: {} }, /result\.ips: \{\} is not a list/],
    [{ ips: ['10.1.0.2/24'] }, /result\.ips\[0\]: "10\.1\.0\.2\/24" is not an object/],
    [{ ips: [{}] }, /result\.ips\[0\]\.address is missing/],
    [{ ips: [{ address: '10.1.0.2' }] }, /address: "10\.1\.0\.2" is not an address with a prefix length/],
    [{ ips: [{ address: '10.1.0.2/24', gateway: 'x' }] }, /gateway: "x" is not an IP address/],
    [{ ips: [{ address: '10.1.0.2/24', gateway: 'fd00::1' }] }, /gateway: "fd00::1" is of another family/],
    [{ ips: [{ address: '10.1.0.2/24' }], routes: [{}] }, /result\.routes\[0\]\.dst is missing/],
    [
      { ips: [{ address: '10.1.0.2/24' }], routes: [{ dst: '::/0', mtu: 'x' }] },
      /mtu: "x" is not a whole number/,
    ],
    [{ ips: [{ address: '10.1.0.2/24' }], dns: { nameservers: [1] } }, /nameservers\[0\]: 1 is not a string/],
    [
      { ips: [{ address: '10.1.0.2/24' }], dns: { search: ['a\nb'] } },
      /search\[0\]: "a\\nb" is not on one line/,
    ],
  ]
  for (const [result, message] of wrong) {
    t.throws(() => read(result), {
      code: 'delegate',
      message: /^ipam: the result of plugin fake is of no use: /,
    })
    t.throws(() => read(result), message)
  }
  t.throws(() => readPluginResult('fake', 'ok'), { code: 'delegate' })
})

t.test('no answer makes reading fail in another way', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), text => {
      try {
        readPluginResult('fake', text)
        return false
      } catch (thrown) {
        return thrown instanceof Error && 'code' in thrown && thrown.code === 'delegate'
      }
    }),
  )
})
