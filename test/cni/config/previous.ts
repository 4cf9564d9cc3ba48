import t from 'tap'
import { readPrevious } from '../../../src/cni/config/previous.ts'
import { Json } from '../../../src/model/json/json.ts'

const read = (prevResult: unknown) => readPrevious(new Json({ prevResult }, ''))

t.test('no prevResult is none', async t => {
  t.equal(read(undefined), undefined)
  t.equal(read(null), undefined)
  t.same(read({}), { interfaces: [], ips: [], routes: [] })
})

t.test('a result of 1.1.0 is read with everything that it has', async t => {
  const result = {
    interfaces: [
      { name: 'br0', mac: '02:00:00:00:00:01', mtu: 1500 },
      {
        name: 'eth0',
        mac: '02:00:00:00:00:02',
        sandbox: '/run/netns/a',
        socketPath: '/run/s',
        pciID: '0000:00:1f.6',
      },
    ],
    ips: [{ address: '10.1.0.2/16', gateway: '10.1.0.1', interface: 1 }, { address: 'fd00::2/64' }],
    routes: [
      { dst: '0.0.0.0/0', gw: '10.1.0.1', mtu: 1400, advmss: 1360, priority: 5, table: 9, scope: 253 },
    ],
    dns: { nameservers: ['10.1.0.1'], domain: 'test', search: ['a'], options: ['b'] },
  }
  t.same(read({ cniVersion: '1.1.0', ...result }), result)
})

t.test('a result of 0.3.0 to 0.4.0 tells the family as well, which is not needed', async t => {
  t.same(
    read({ interfaces: [{ name: 'eth0' }], ips: [{ version: '4', address: '10.1.0.2/16', interface: 0 }] })
      ?.ips,
    [{ address: '10.1.0.2/16', interface: 0 }],
  )
})

t.test('a result of 0.1.0 and 0.2.0 has a section for each family', async t => {
  t.same(
    read({
      ip4: { ip: '10.1.0.2/16', gateway: '10.1.0.1', routes: [{ dst: '0.0.0.0/0' }] },
      ip6: { ip: 'fd00::2/64', routes: [{ dst: '::/0', gw: 'fd00::1' }] },
    }),
    {
      interfaces: [],
      ips: [{ address: '10.1.0.2/16', gateway: '10.1.0.1' }, { address: 'fd00::2/64' }],
      routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0', gw: 'fd00::1' }],
    },
  )
})

t.test("keys of a result match in any case, and go-cni's stray ones are left alone", async t => {
  t.same(
    read({ CNIVersion: '0.4.0', Interfaces: [{ Name: 'eth0', Sandbox: '/a' }], IPs: null })?.interfaces,
    [{ name: 'eth0', sandbox: '/a' }],
  )
})

t.test('a result that makes no sense is refused with its key and value', async t => {
  const bad: [unknown, RegExp][] = [
    ['x', /^prevResult: "x" is not an object/],
    [{ interfaces: {} }, /^prevResult\.interfaces: \{\} is not a list/],
    [{ interfaces: [{}] }, /^prevResult\.interfaces\[0\]\.name is missing/],
    [{ interfaces: [{ name: 'a', mtu: -1 }] }, /^prevResult\.interfaces\[0\]\.mtu: -1/],
    [{ ips: [{ address: '10.1.0.2' }] }, /^prevResult\.ips\[0\]\.address: "10\.1\.0\.2"/],
    [{ ips: [{ address: '10.1.0.2/16', interface: -1 }] }, /^prevResult\.ips\[0\]\.interface: -1/],
    [
      { ips: [{ address: '10.1.0.2/16', gateway: 'fd00::1' }] },
      /^prevResult\.ips\[0\]\.gateway: "fd00::1" is of another/,
    ],
    [{ routes: [{ gw: '10.1.0.1' }] }, /^prevResult\.routes\[0\]\.dst is missing/],
    [{ ip4: {} }, /^prevResult\.ip4\.ip is missing/],
  ]
  for (const [result, message] of bad) t.throws(() => read(result), { code: 'invalid-config', message })
})

t.test('an index beyond the interfaces is refused', async t => {
  const ips = [{ address: '10.1.0.2/16', interface: 1 }]
  t.throws(() => read({ interfaces: [{ name: 'eth0' }], ips }), {
    code: 'invalid-config',
    message: 'prevResult.ips[0].interface: 1 is no index of an interface: prevResult has 1',
  })
})
