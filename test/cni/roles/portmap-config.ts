/** What the drop-in plugin portmap reads of its configuration, and what it refuses. */

import fc from 'fast-check'
import t from 'tap'
import { containerAddresses, needPrevious } from '../../../src/cni/roles/chained-config.ts'
import { readHostPorts, readPortBackend } from '../../../src/cni/roles/portmap-config.ts'
import type { Cidr } from '../../../src/model/address/address.ts'
import { Json } from '../../../src/model/json/json.ts'
import { describePorts } from '../../../src/nat/reference/hostports.ts'

const key = { network: 'front', containerId: 'web-1', ifname: 'eth0' }
const addresses = ['10.0.0.2/24' as Cidr, '2001:db8::2/64' as Cidr]

const read = (config: object) => readHostPorts(new Json({ type: 'portmap', ...config }, ''), key, addresses)
const mapped = (...portMappings: unknown[]) => ({ runtimeConfig: { portMappings } })

t.test('the defaults are the reference plugin’s', async t => {
  t.strictSame(read({}), {
    network: 'front',
    containerId: 'web-1',
    addresses,
    ports: [],
    snat: true,
    masqAll: false,
    mark: { bit: 13 },
    conditions: { 4: [], 6: [] },
  })
})

t.test('the configuration of the reference’s own test', async t => {
  const intent = read({
    ...mapped(
      { hostPort: 8080, containerPort: 80, protocol: 'tcp' },
      { hostPort: 8081, containerPort: 81, protocol: 'udp' },
    ),
    snat: false,
    conditionsV4: ['a', 'b'],
    conditionsV6: ['c', 'd'],
  })
  t.match(intent, { snat: false, conditions: { 4: ['a', 'b'], 6: ['c', 'd'] } })
  t.strictSame(intent.ports, [
    { protocol: 'tcp', hostPort: 8080, containerPort: 80 },
    { protocol: 'udp', hostPort: 8081, containerPort: 81 },
  ])
})

t.test('keys in any case, protocols too, an empty address is none, and the same twice is once', async t => {
  const one = { HostPort: 8080, ContainerPort: 80, Protocol: 'TCP', HostIP: '' }
  t.strictSame(read(mapped(one, one)).ports, [{ protocol: 'tcp', hostPort: 8080, containerPort: 80 }])
})

t.test('what is refused', async t => {
  const refused: [config: object, message: RegExp][] = [
    [mapped({ hostPort: 0, containerPort: 80 }), /portMappings\[0\]\.hostPort: 0 is not/],
    [mapped({ hostPort: 80, containerPort: 65536 }), /containerPort: 65536 is not/],
    [mapped({ hostPort: 80 }), /containerPort is missing/],
    [mapped({ hostPort: '80', containerPort: 80 }), /hostPort: "80" is not/],
    [mapped({ hostPort: 80, containerPort: 80, protocol: 'icmp' }), /protocol: "icmp" is not one of/],
    [mapped({ hostPort: 80, containerPort: 80, hostIP: 'localhost' }), /hostIP: "localhost" is not an IP/],
    [
      mapped({ hostPort: 80, containerPort: 80, hostIP: 'fe80::1%eth0' }),
      /hostIP: "fe80::1%eth0" is link-local/,
    ],
    [
      mapped({ hostPort: 80, containerPort: 80 }, { hostPort: 80, containerPort: 81 }),
      /portMappings\[1\].* contradicts another one: host port 80 leads to 80 already/,
    ],
    [{ markMasqBit: 32 }, /markMasqBit: 32 is not a whole number from 0 to 31/],
    [{ markMasqBit: 5, externalSetMarkChain: 'X' }, /cannot be specified both/],
    [{ externalSetMarkChain: 'A B' }, /is not the name of a chain/],
    [{ externalSetMarkChain: '-X' }, /is not the name of a chain/],
    [{ conditionsV4: ['-s', '1.2.3.4\n-A INPUT -j ACCEPT'] }, /has characters that no condition has/],
    [{ conditionsV6: ['x; delete table ip filter'] }, /has characters that no condition has/],
    [{ snat: 'no' }, /snat: "no" is neither true nor false/],
  ]
  for (const [config, message] of refused) t.throws(() => read(config), { message })
})

t.test('the backend is iptables’ or nftables’, and its options are of one kind', async t => {
  const backend = (config: object, env = {}) => readPortBackend(new Json(config, ''), env)
  t.equal(backend({}), undefined)
  t.equal(backend({ backend: 'nftables' }), 'nftables')
  t.equal(backend({}, { TSNET_NAT: 'nftables' }), 'nftables')
  t.equal(backend({ backend: 'iptables' }, { TSNET_NAT: 'nftables' }), 'iptables', 'the configuration first')
  t.equal(backend({ conditionsV4: ['!', '-s', '1.2.3.4'] }), 'iptables')
  t.equal(backend({ conditionsV6: ['ip6', 'saddr', '::1'] }), 'nftables')
  const refused: [config: object, message: RegExp][] = [
    [{ backend: 'firewalld' }, /backend: "firewalld" is neither iptables nor nftables/],
    [{ backend: 'nftables', externalSetMarkChain: 'X' }, /externalSetMarkChain: "X" is for iptables/],
    [{ backend: 'iptables', conditionsV4: ['ip', 'saddr'] }, /conditionsV4: .* is for nftables/],
    [
      { conditionsV4: ['-s'], conditionsV6: ['ip6'] },
      /conditionsV6: .* is for nftables, and the backend is iptables/,
    ],
  ]
  for (const [config, message] of refused) t.throws(() => backend(config), { message })
})

const previous = (result: object) => needPrevious(new Json({ type: 'portmap', prevResult: result }, ''))

t.test('addresses are those of the interface that we are called for', async t => {
  const interfaces = [{ name: 'host' }, { name: 'container', sandbox: 'netns' }]
  const ips = [
    { address: '10.0.0.1/24', interface: 0 },
    { address: '2001:db8:1::2/64', interface: 1 },
    { address: '10.0.0.2/24', interface: 1 },
    { address: '10.0.0.3/24', interface: 1 },
  ]
  t.strictSame(containerAddresses(previous({ interfaces, ips }), 'container'), [
    '10.0.0.2/24',
    '2001:db8:1::2/64',
  ])
  t.strictSame(containerAddresses(previous({ interfaces, ips }), 'other'), [])
  const nameless = { interfaces: [{ name: 'host' }], ips: [{ address: '10.0.0.1/24' }] }
  t.strictSame(containerAddresses(previous(nameless), 'container'), ['10.0.0.1/24'], 'without an index')
})

t.test('a result that is missing, or names an interface that it has not, is refused', async t => {
  t.throws(() => needPrevious(new Json({ type: 'portmap' }, '')), {
    message: 'prevResult is missing: portmap must be called as chained plugin',
  })
  t.throws(() => previous({ interfaces: [{ name: 'a' }], ips: [{ address: '10.0.0.1/24', interface: 1 }] }), {
    message: /^prevResult\.ips\[0\]\.interface: 1 is no index of an interface/,
  })
})

t.test('whatever a runtime sends, a document has no line that is not ours', async () => {
  const text = fc.oneof(
    fc.constantFrom(
      'tcp',
      'udp',
      '0.0.0.0',
      '::',
      '1.2.3.4',
      'tcp dport 1 accept\nflush ruleset\n',
      '"; drop',
      '$(id)',
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )
  const number = fc.oneof(fc.integer({ min: -1, max: 70_000 }), fc.constantFrom(80, 8080))
  const entry = fc.record(
    { hostPort: number, containerPort: number, protocol: text, hostIP: text },
    { requiredKeys: [] },
  )
  const ours = /^(#.*|\*\w+|COMMIT|-[NAI] [\w-]+( .*)?|(add|flush) (table|chain|rule) ip6? cni_hostport.*|)$/
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 3 }), fc.array(text, { maxLength: 2 }), (entries, words) => {
      for (const backend of ['iptables', 'nftables'] as const) {
        let document: string
        try {
          document = describePorts({ backend, intent: read({ ...mapped(...entries), conditionsV4: words }) })
        } catch {
          continue // refused
        }
        if (!document.split('\n').every(line => ours.test(line))) return false
      }
      return true
    }),
    { numRuns: 500 },
  )
})
