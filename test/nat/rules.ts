/** What an intent means, and what it refuses. */

import t, { type Test } from 'tap'
import type { Cidr, Ip } from '../../src/model/address/address.ts'
import type { NatIntent } from '../../src/model/network.ts'
import type { PortMapping } from '../../src/model/port-mapping.ts'
import { planRules } from '../../src/nat/rules.ts'

const intent = (changes: Partial<NatIntent> = {}): NatIntent => ({
  owner: '0123456789abcdef',
  bridge: 'tsnet0',
  addresses: ['10.1.0.2/24' as Cidr],
  ipMasq: true,
  guardDirect: true,
  ports: [],
  ...changes,
})

const tcp = (hostPort: number, containerPort: number, rest: Partial<PortMapping> = {}): PortMapping => ({
  protocol: 'tcp',
  hostPort,
  containerPort,
  count: 1,
  ...rest,
})

const published = (ports: PortMapping[], addresses = ['10.1.0.2/24' as Cidr]) =>
  planRules(intent({ ports, addresses })).families.map(family => family.published)

const refuses = (t: Test, ports: PortMapping[], code: string, message: RegExp) =>
  t.throws(() => published(ports), { code, message })

t.test('each family has its addresses with the networks they are in', async t => {
  const { families } = planRules(
    intent({ addresses: ['10.1.0.2/24', 'fd00::2/64', '10.2.0.9/16'] as Cidr[] }),
  )
  t.match(families, [
    {
      family: 4,
      addresses: [
        { ip: '10.1.0.2', network: '10.1.0.0/24' },
        { ip: '10.2.0.9', network: '10.2.0.0/16' },
      ],
    },
    { family: 6, addresses: [{ ip: 'fd00::2', network: 'fd00::/64' }] },
  ])
})

t.test('a container that speaks under its own address gets answers in spite of the guard', async t => {
  t.match(planRules(intent()).families, [{ guard: 'all' }])
  t.match(planRules(intent({ ipMasq: false })).families, [{ guard: 'new' }])
  t.match(planRules(intent({ guardDirect: false })).families, [{ guard: 'none' }])
})

t.test('a mapping without host address is for both families, one with an address for its own', async t => {
  const addresses = ['10.1.0.2/24', 'fd00::2/64'] as Cidr[]
  t.match(published([tcp(80, 8080)], addresses), [[{ target: '10.1.0.2' }], [{ target: 'fd00::2' }]])
  const [v4, v6] = published([tcp(80, 8080, { hostIp: '192.0.2.1' as Ip })], addresses)
  t.match(v4, [{ hostIp: '192.0.2.1' }])
  t.strictSame(v6, [])
})

t.test('0.0.0.0 and :: are every address of their family', async t => {
  const addresses = ['10.1.0.2/24', 'fd00::2/64'] as Cidr[]
  const [v4] = published([tcp(80, 8080, { hostIp: '0.0.0.0' as Ip })], addresses)
  t.strictSame(v4, [{ protocol: 'tcp', hostPort: 80, containerPort: 8080, count: 1, target: '10.1.0.2' }])
  const [none, v6] = published([tcp(80, 8080, { hostIp: '::' as Ip })], addresses)
  t.strictSame(none, [])
  t.match(v6, [{ target: 'fd00::2' }])
})

t.test('ports that continue each other become one range, in whatever order they come', async t => {
  t.match(published([tcp(82, 8082), tcp(80, 8080), tcp(81, 8081), tcp(83, 9000)]), [
    [
      { hostPort: 80, containerPort: 8080, count: 3 },
      { hostPort: 83, containerPort: 9000, count: 1 },
    ],
  ])
})

t.test('ports of one address come before those of any', async t => {
  const [ports] = published([tcp(80, 8080), tcp(80, 9090, { hostIp: '192.0.2.1' as Ip })])
  t.match(ports, [{ hostIp: '192.0.2.1' }, { containerPort: 8080 }])
})

t.test('one host port cannot lead to two places', async t => {
  refuses(t, [tcp(80, 8080, { count: 5 }), tcp(84, 1)], 'conflict', /84\/tcp is published twice/)
})

t.test('what the kernel cannot serve is said, with the reason', async t => {
  refuses(t, [tcp(80, 80, { hostIp: '::1' as Ip })], 'unsupported-field', /hostIP ::1 of \[::1\]:80\/tcp/)
  refuses(t, [tcp(80, 80, { hostIp: 'fe80::1' as Ip })], 'unsupported-field', /hostIP fe80::1/)
  refuses(t, [tcp(80, 80, { hostIp: '2001:db8::1' as Ip })], 'unsupported-field', /has no IPv6 address/)
  t.throws(() => planRules(intent({ addresses: [], ports: [tcp(80, 80)] })), {
    code: 'unsupported-field',
    message: /80\/tcp cannot be published: the container has no IP address/,
  })
})

t.test('values out of their range are refused by name', async t => {
  refuses(t, [tcp(0, 80)], 'invalid-config', /host ports are not within 1 and 65535/)
  refuses(t, [tcp(80, 65535, { count: 2 })], 'invalid-config', /container ports are not within/)
  refuses(t, [tcp(80.5, 80)], 'invalid-config', /host ports/)
  refuses(t, [tcp(80, 80, { count: 0 })], 'invalid-config', /host ports/)
  refuses(
    t,
    [tcp(80, 80, { protocol: 'icmp' as 'tcp' })],
    'invalid-config',
    /protocol is not tcp, udp or sctp/,
  )
  refuses(t, [tcp(80, 80, { hostIp: 'localhost' as Ip })], 'invalid-config', /hostIP: "localhost"/)
  t.throws(() => planRules(intent({ bridge: 'br+' })), { code: 'invalid-config', message: /bridge: "br\+"/ })
  t.throws(() => planRules(intent({ owner: 'me' })), {
    code: 'internal',
    message: /"me" is not 16 hex digits/,
  })
})
