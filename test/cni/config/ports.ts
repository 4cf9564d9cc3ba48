import fc from 'fast-check'
import t from 'tap'
import { distinctPorts, mergePorts, readPorts } from '../../../src/cni/config/ports.ts'
import type { Ip } from '../../../src/model/address/address.ts'
import { Json } from '../../../src/model/json/json.ts'
import { coversAddress, type PortMapping, type Protocol } from '../../../src/model/port-mapping.ts'

const read = (...entries: unknown[]) => readPorts(new Json(entries, 'runtimeConfig.portMappings'))

const port = (protocol: Protocol, hostPort: number, containerPort: number, count = 1, hostIp?: string) =>
  ({ protocol, hostPort, containerPort, count, ...(hostIp === undefined ? {} : { hostIp }) }) as PortMapping

t.test('port mappings are read as containerd, podman and the spec write them', async t => {
  const tcp = [port('tcp', 8080, 80)]
  t.same(read({ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }), tcp, 'go-cni')
  t.same(read({ hostPort: 8080, containerPort: 80, protocol: 'TCP' }), tcp)
  t.same(read({ hostPort: 8080, containerPort: 80 }), tcp, 'tcp is the default')
  t.same(read({ hostPort: 8080, containerPort: 80, protocol: '', hostIP: null, range: 1 }), tcp)
  t.same(read({ hostPort: 53, containerPort: 5353, protocol: 'udp', hostIP: '127.0.0.1' }), [
    port('udp', 53, 5353, 1, '127.0.0.1'),
  ])
  t.same(read({ hostPort: 9, containerPort: 9, protocol: 'sctp', hostIP: '2001:DB8:0::1' }), [
    port('sctp', 9, 9, 1, '2001:db8::1'),
  ])
  t.same(read({ hostPort: 9, containerPort: 9, hostIP: 'FE80::1%eth0' }), [
    port('tcp', 9, 9, 1, 'fe80::1%eth0'),
  ])
  t.same(read(), [])
})

t.test('no address is every address of the host; an unspecified one is every one of its family', async t => {
  const at = (hostIP: unknown) => read({ hostPort: 80, containerPort: 80, hostIP })
  for (const hostIP of ['', null, undefined]) t.same(at(hostIP), [port('tcp', 80, 80)], String(hostIP))
  for (const hostIP of ['0.0.0.0', '::ffff:0.0.0.0'])
    t.same(at(hostIP), [port('tcp', 80, 80, 1, '0.0.0.0')], hostIP)
  for (const hostIP of ['::', '0:0:0:0:0:0:0:0']) t.same(at(hostIP), [port('tcp', 80, 80, 1, '::')], hostIP)
})

t.test('both families of one port are every address; of different ports each is its own', async t => {
  const both = (containerPort: number) => [
    { hostPort: 80, containerPort: 80, hostIP: '0.0.0.0' },
    { hostPort: 80, containerPort, hostIP: '::' },
  ]
  t.same(read(...both(80)), [port('tcp', 80, 80)], 'newer Docker clients say both')
  t.same(read(...both(81)), [port('tcp', 80, 80, 1, '0.0.0.0'), port('tcp', 80, 81, 1, '::')])
})

t.test('a bad port mapping is refused with its key and value', async t => {
  const bad: [object, string, RegExp][] = [
    [
      { hostPort: 0, containerPort: 80 },
      'invalid-config',
      /\[0\]\.hostPort: 0 is not a whole number from 1 to 65535/,
    ],
    [{ containerPort: 80 }, 'invalid-config', /\[0\]\.hostPort is missing/],
    [{ hostPort: 80 }, 'invalid-config', /\[0\]\.containerPort is missing/],
    [{ hostPort: 65536, containerPort: 80 }, 'invalid-config', /\.hostPort: 65536/],
    [{ hostPort: 80, containerPort: -1 }, 'invalid-config', /\.containerPort: -1/],
    [{ hostPort: '80', containerPort: 80 }, 'invalid-config', /\.hostPort: "80"/],
    [{ hostPort: 80.5, containerPort: 80 }, 'invalid-config', /\.hostPort: 80\.5/],
    [
      { hostPort: 80, containerPort: 80, protocol: 'icmp' },
      'unsupported-field',
      /\.protocol: "icmp" is not one of tcp/,
    ],
    [
      { hostPort: 80, containerPort: 80, hostIP: 'eth0' },
      'invalid-config',
      /\.hostIP: "eth0" is not an IP address/,
    ],
    [
      { hostPort: 80, containerPort: 80, hostIP: 'fe80::1' },
      'invalid-config',
      /\.hostIP: "fe80::1" is link-local: it needs the interface that it is on/,
    ],
    [
      { hostPort: 80, containerPort: 80, hostIP: '10.0.0.1%eth0' },
      'invalid-config',
      /\.hostIP: "10.0.0.1%eth0" is not link-local/,
    ],
    [
      { hostPort: 80, containerPort: 80, hostIP: '10.0.0.1/8' },
      'invalid-config',
      /\.hostIP: "10\.0\.0\.1\/8"/,
    ],
    [{ hostPort: 80, containerPort: 80, hostIP: '010.0.0.1' }, 'invalid-config', /\.hostIP: "010\.0\.0\.1"/],
  ]
  for (const [entry, code, message] of bad)
    t.throws(() => read(entry), { code, message }, JSON.stringify(entry))
  t.throws(() => readPorts(new Json({}, 'runtimeConfig.portMappings')), /portMappings: \{\} is not a list/)
  t.throws(() => read(80), /portMappings\[0\]: 80 is not an object/)
})

t.test('text that would be a command to a firewall is refused, not passed on', async t => {
  const evil = 'tcp dport 1 accept\nflush chain ip victim c\ndelete table ip victim\n'
  t.throws(() => read({ hostPort: 1, containerPort: 1, protocol: evil }), { code: 'unsupported-field' })
  t.throws(() => read({ hostPort: 1, containerPort: 1, hostIP: evil }), { code: 'invalid-config' })
})

t.test('one host port that leads to two places is refused', async t => {
  const at = (containerPort: number, hostIP = '', protocol = 'tcp') => ({
    hostPort: 80,
    containerPort,
    hostIP,
    protocol,
  })
  const bad = [
    [at(80), at(81)],
    [at(80, '127.0.0.1'), at(81)],
    [at(80, '127.0.0.1'), at(80, '127.0.0.2'), at(81, '127.0.0.2')],
    [at(80, '10.0.0.1'), at(80, '10.0.0.2'), at(81, '0.0.0.0')],
    [at(80, '0.0.0.0'), at(80, '::'), at(81, '10.0.0.1')],
  ]
  for (const entries of bad) {
    t.throws(() => read(...entries), {
      code: 'invalid-config',
      message: /portMappings: .* is contradictory: .*80\/tcp leads to container port 8\d, .*80\/tcp to 8\d/,
    })
  }
  t.doesNotThrow(() => read(at(80, '127.0.0.1'), at(81, '127.0.0.2')))
  t.doesNotThrow(() => read(at(80), at(81, '', 'udp')))
  t.doesNotThrow(() => read(at(80, '10.0.0.1'), at(81, '::')))
})

t.test('ten thousand neighbours are one range, in whatever order they come', async t => {
  const entries = Array.from({ length: 10_000 }, (_, i) => ({
    hostPort: 20_000 + i,
    containerPort: 30_000 + i,
  }))
  t.same(read(...entries), [port('tcp', 20_000, 30_000, 10_000)])
  t.same(read(...entries.toReversed(), ...entries), [port('tcp', 20_000, 30_000, 10_000)])
})

t.test('ports are joined only at one protocol, one address and one distance', async t => {
  t.same(mergePorts([port('tcp', 80, 80), port('tcp', 81, 81)]), [port('tcp', 80, 80, 2)])
  t.same(mergePorts([port('tcp', 80, 80), port('tcp', 81, 82)]).length, 2, 'distance')
  t.same(mergePorts([port('tcp', 80, 80), port('udp', 81, 81)]).length, 2, 'protocol')
  t.same(mergePorts([port('tcp', 80, 80), port('tcp', 81, 81, 1, '127.0.0.1')]).length, 2, 'address')
  t.same(mergePorts([port('tcp', 80, 80), port('tcp', 82, 82)]).length, 2, 'gap')
})

const mapping = fc.record({
  protocol: fc.constantFrom<Protocol>('tcp', 'udp'),
  hostIp: fc.constantFrom(undefined, ...(['127.0.0.1', '10.0.0.1', '0.0.0.0', '::', '::1'] as Ip[])),
  hostPort: fc.integer({ min: 1, max: 20 }),
  distance: fc.constantFrom(0, 1),
})
const mappings = fc.array(mapping, { maxLength: 40 }).map(list =>
  list.map(({ distance, hostIp, ...rest }) => ({
    ...port(rest.protocol, rest.hostPort, rest.hostPort + distance, 1, hostIp),
  })),
)

const expand = (list: PortMapping[]) =>
  list
    .flatMap(({ count, ...one }) =>
      Array.from({ length: count }, (_, i) =>
        JSON.stringify(port(one.protocol, one.hostPort + i, one.containerPort + i, 1, one.hostIp)),
      ),
    )
    .sort()

t.test('joined ranges say exactly what the single ports said', async () => {
  fc.assert(
    fc.property(mappings, list => {
      const merged = mergePorts(list)
      return JSON.stringify(expand(merged)) === JSON.stringify(expand(list)) && merged.length <= list.length
    }),
  )
})

t.test('what distinct ports leave out, another entry says; what they refuse, contradicts', async () => {
  const covers = (a: PortMapping, b: PortMapping) =>
    a.protocol === b.protocol && a.hostPort === b.hostPort && coversAddress(a.hostIp, b.hostIp)
  const meets = (a: PortMapping, b: PortMapping) => covers(a, b) || covers(b, a)
  fc.assert(
    fc.property(mappings, list => {
      const contradictory = list.some(a => list.some(b => meets(a, b) && a.containerPort !== b.containerPort))
      try {
        const distinct = distinctPorts(list, () => {
          throw new Error('refused')
        })
        return (
          !contradictory &&
          list.every(entry =>
            distinct.some(kept => covers(kept, entry) && kept.containerPort === entry.containerPort),
          ) &&
          distinct.every(a => distinct.every(b => a === b || !meets(a, b)))
        )
      } catch {
        return contradictory
      }
    }),
    { numRuns: 1000 },
  )
})

t.test('a flood of equal entries takes no time', async t => {
  const entries = Array.from({ length: 100_000 }, () => port('tcp', 80, 80, 1, '127.0.0.1'))
  const started = performance.now()
  t.equal(
    distinctPorts(entries, () => {
      throw new Error('refused')
    }).length,
    1,
  )
  t.ok(performance.now() - started < 1000)
})
