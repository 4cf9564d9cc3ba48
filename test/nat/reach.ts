/** Lists of whom a container may reach, as sets with intervals: against what each entry means by itself. */

import fc from 'fast-check'
import t from 'tap'
import { type Cidr, contains, type Family, ipAt, numberOf, parseIp } from '../../src/model/address/address.ts'
import {
  FLOOR,
  isOfAddresses,
  isOfFloor,
  isOfNetwork,
  type Permission,
  readEntry,
} from '../../src/model/address/reach.ts'
import { belongingsIn, belongingsText } from '../../src/nat/reach/belongings.ts'
import { NamedReach } from '../../src/nat/reach/names.ts'
import { planReach, type ReachGuard, type TablePlan } from '../../src/nat/reach/plan.ts'
import { type Allowed, allowedOf, type Range } from '../../src/nat/reach/ranges.ts'
import { keyBytes } from '../../src/netfilter/set-types.ts'

const permission = (text: string): Permission => {
  const read = readEntry(text)
  if (typeof read === 'string' || isOfNetwork(read)) throw new Error(`${text} ${String(read)}`)
  return read
}

const has = (ranges: readonly Range[], address: string): boolean => {
  const number = numberOf(parseIp(address))
  return ranges.some(({ first, last }) => number >= first && number <= last)
}

const mayReach = ({ whole, services }: Allowed, address: string, protocol: string, port: number): boolean =>
  has(whole, address) ||
  services.some(
    each => each.protocol === protocol && port >= each.first && port <= each.last && has(each.to, address),
  )

/** As the words of a list say it, one entry after the other. */
const isMeant = (list: readonly Permission[], address: string, protocol: string, port: number): boolean =>
  list.filter(isOfAddresses).some(({ to, service }) => {
    if (!contains(to, parseIp(address))) return false
    const isSecret = FLOOR.some(each => contains(each, parseIp(address)))
    if (isSecret && !isOfFloor(to)) return false
    return (
      service === undefined ||
      (service.protocol === protocol && port >= service.first && port <= service.last)
    )
  })

/** Few bits, so that entries overlap; some are of the floor. */
const address = (family: Family) =>
  fc
    .tuple(
      fc.constantFrom(family === 4 ? '169.254.169.0' : 'fd00:ec2::', family === 4 ? '10.1.2.0' : 'fd00::'),
      fc.nat(255),
    )
    .map(([base, last]) => ipAt(numberOf(parseIp(base)) + BigInt(last), family))

const entry = (family: Family) =>
  fc
    .record({
      ip: address(family),
      length: fc.integer({ min: 0, max: family === 4 ? 32 : 128 }),
      ports: fc.option(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(5), fc.constantFrom('tcp', 'udp'))),
    })
    .map(({ ip, length, ports }) => {
      if (ports === null) return permission(`${ip}/${length}`)
      return permission(`[${ip}/${length}]:${ports[0]}-${ports[0] + ports[1]}/${ports[2]}`)
    })

for (const family of [4, 6] as const) {
  t.test(`IPv${family}: a list allows what any of its entries does, however they overlap`, async () => {
    const probe = fc.record({
      ip: address(family),
      protocol: fc.constantFrom('tcp', 'udp', 'sctp'),
      port: fc.integer({ min: 1, max: 15 }),
    })
    fc.assert(
      fc.property(
        fc.array(entry(family), { maxLength: 12 }),
        fc.array(probe, { maxLength: 30 }),
        (list, probes) => {
          const allowed = allowedOf(list, family)
          return probes.every(
            ({ ip, protocol, port }) =>
              mayReach(allowed, ip, protocol, port) === isMeant(list, ip, protocol, port),
          )
        },
      ),
    )
  })
}

const OWNER = '0123456789abcdef'

const guard = (allow: string[], more: Partial<ReachGuard> = {}): ReachGuard => ({
  owner: OWNER,
  hostInterface: 'veth01234567',
  gateways: ['br0'],
  mac: '02:00:00:00:00:02',
  addresses: ['10.1.0.2/24' as Cidr],
  resolvers: [parseIp('10.1.0.1')],
  isOnWire: false,
  reach: { allow: allow.map(permission) },
  ...more,
})

/** Sets of whom it may reach; the others remember what is denied. */
const given = (plan: TablePlan | undefined) =>
  plan?.sets.filter(({ plan: { name } }) => !/^n[op][46]-/.test(name))

t.test('who may reach nobody has rules for answers alone', async t => {
  const [routed, bridged] = planReach(guard([]))
  t.strictSame(given(routed), [])
  t.strictSame(given(bridged), [])
  const isOfDenied = (rule: string) => rule.includes(' update @no') || rule.includes(' update @np')
  t.equal(routed?.rules.filter(isOfDenied).length, 4, 'and for remembering what is denied')
  t.strictSame(
    routed?.rules.filter(rule => !isOfDenied(rule)),
    [
      'ct state established ct direction reply accept',
      'meta l4proto icmp ct state related accept',
      'meta l4proto ipv6-icmp ct state related accept',
      'counter goto denied',
    ],
  )
})

t.test('a neighbour is no way to whoever is not a neighbour, but on a wire', async t => {
  const sizes = (more: Partial<ReachGuard>) =>
    given(planReach(guard(['192.0.2.0/24', '10.1.0.0/24:80'], more))[1])?.map(({ plan }) =>
      plan.name.slice(0, 3),
    )
  t.strictSame(sizes({}), ['at4'])
  t.strictSame(sizes({ isOnWire: true }), ['to4', 'at4'])
})

t.test('names are asked for where the network tells them, and nowhere else', async t => {
  const [routed] = planReach(guard(['dns']))
  t.equal(routed?.sets[0]?.elements?.length, 2, 'over UDP and TCP')
})

t.test('ten thousand entries that touch are one, and ranges of ports that all cross are refused', async t => {
  const many = Array.from({ length: 10_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`)
  t.equal(allowedOf(many.map(permission), 4).whole.length, 1)
  const crossing = Array.from({ length: 2_000 }, (_, i) => `10.0.0.${i & 255}:${i + 1}-${60_000 - i}`)
  t.throws(() => allowedOf(crossing.map(permission), 4), {
    code: 'invalid-config',
    message: /cross each other/,
  })
})

t.test('a name has the ports of its own entries, cut where those of any begin or end', async () => {
  const names = fc.constantFrom('a.org', 'b.org', '*.org')
  const entries = fc.array(
    fc.tuple(names, fc.integer({ min: 1, max: 9 }), fc.nat(6), fc.constantFrom('tcp', 'udp')),
  )
  const texts = entries.map(all =>
    all.map(([name, first, more, by]) => `${name}:${first}-${first + more}/${by}`),
  )
  const ip = parseIp('192.0.2.1')
  fc.assert(
    fc.property(texts, fc.constantFrom('a.org', 'b.org', 'c.org'), (all, name) => {
      const list = all.map(permission)
      const { elements } = new NamedReach(OWNER, list).entriesOf(name, [ip], 0) ?? { elements: [] }
      const port = (key: Uint8Array): number => new DataView(new Uint8Array(key).buffer).getUint16(8)
      const [tcp = [], udp = []] = [6, 17].map(number =>
        elements.flatMap(([, { key, keyEnd = key }]) =>
          key[4] === number
            ? Array.from({ length: port(keyEnd) - port(key) + 1 }, (_, i) => port(key) + i)
            : [],
        ),
      )
      const meant = (by: string): number[] => [
        ...new Set(
          list.flatMap(({ to, service }) =>
            service?.protocol === by && (to === name || to === '*.org')
              ? Array.from({ length: service.last - service.first + 1 }, (_, i) => service.first + i)
              : [],
          ),
        ),
      ]
      const inOrder = (ports: number[]): string => ports.sort((a, b) => a - b).join()
      // None twice: pieces of one address do not overlap.
      return inOrder(tcp) === inOrder(meant('tcp')) && inOrder(udp) === inOrder(meant('udp'))
    }),
  )
})

t.test('what several entries of a name mean counts for the most exact of them', async t => {
  const list = [
    '*.org',
    '*.a.org:1-9',
    'b.a.org:1-8',
    'b.a.org:2',
    'b.a.org:2',
    '*.org:9',
    'b.a.org',
    'c.org:3',
  ]
  const { elements } = new NamedReach(OWNER, list.map(permission)).entriesOf(
    'b.a.org',
    [parseIp('192.0.2.1')],
    0,
  ) ?? { elements: [] }
  const counted = elements.map(([map, { key, object }]) => [map, key.at(8 + 1) ?? 0, object?.slice(0, 5)])
  t.strictSame(counted.sort(), [
    ['named4', 0, 'name6'],
    ['ports4', 1, 'name2'],
    ['ports4', 2, 'name3'],
    ['ports4', 3, 'name2'],
    ['ports4', 4, 'name2'],
    ['ports4', 9, 'name1'],
  ])
})

t.test('near addresses of a name are left out, and named', async t => {
  const reach = new NamedReach(OWNER, [permission('example.org')])
  const entries = reach.entriesOf(
    'example.org',
    ['10.0.0.1', '192.0.2.1'].map(ip => parseIp(ip)),
    7,
  )
  t.equal(entries?.elements.length, 1)
  t.strictSame(entries?.near, ['10.0.0.1'])
  t.equal(entries?.elements[0]?.[1].timeoutS, 67)
  t.equal(reach.entriesOf('www.example.org', [parseIp('192.0.2.1')], 7), undefined)
})

t.test(
  'an address that is said twice is put in once, and so many of an answer are put in, and no more',
  async t => {
    const reach = new NamedReach(
      OWNER,
      ['*.org:1-65535', ...Array.from({ length: 60 }, (_, i) => `n${i}.net:${1000 * (i + 1)}`)].map(
        permission,
      ),
    )
    const ip = (n: number) => parseIp(`192.0.${n >> 8}.${n & 255}`)
    const twice = reach.entriesOf('a.org', [ip(513), ip(513)], 7)
    t.equal(twice?.elements.length, 121)
    const many = reach.entriesOf(
      'a.org',
      Array.from({ length: 4_000 }, (_, n) => ip(512 + n)),
      7,
    )
    t.ok((many?.elements.length ?? 0) > 3_900 && (many?.elements.length ?? 0) <= 4_096)
    t.equal((many?.beyond.length ?? 0) + (many?.elements.length ?? 0) / 121, 4_000)
  },
)

t.test('who is allowed names has sets for them, and is let ask', async t => {
  const [routed, bridged] = planReach(guard(['example.org', 'example.org:80', '*.example.net:80/udp']))
  const names = given(routed)?.map(({ plan }) => plan.name.slice(0, 6))
  t.strictSame(names, ['at4-01', 'ports4', 'named4', 'kept4-', 'ports6', 'named6', 'kept6-'])
  t.strictSame(given(bridged), [], 'what they lead to is routed')
})

t.test('a map of names has intervals where ports are ranges, and else is a hash', async t => {
  for (const [entries, isInterval] of [
    [['example.org:80', '*.example.org:443'], false],
    [['example.org:80', '*.example.org:443-444'], true],
  ] as const) {
    const [routed] = planReach(guard([...entries]))
    const maps = given(routed)?.filter(({ plan }) => plan.name.startsWith('ports'))
    t.strictSame(
      maps?.map(({ plan }) => plan.isInterval),
      [isInterval, isInterval],
    )
    const reach = new NamedReach(OWNER, entries.map(permission))
    const { elements } = reach.entriesOf('a.example.org', [parseIp('192.0.2.1')], 7) ?? { elements: [] }
    t.strictSame(
      elements.map(([, { keyEnd }]) => keyEnd !== undefined),
      [isInterval],
    )
  }
})

t.test('ten thousand names are found as one, and too many different ports are refused', async t => {
  const many = Array.from({ length: 10_000 }, (_, i) => permission(`n${i}.example.org:443`))
  const entries = new NamedReach(OWNER, many).entriesOf('n9999.example.org', [parseIp('192.0.2.1')], 0)
  t.equal(entries?.elements.length, 1)
  const ports = Array.from({ length: 2_000 }, (_, i) => `n${i}.example.org:${2 * i + 1}`)
  t.throws(() => planReach(guard(ports)), { code: 'invalid-config', message: /different ports/ })
})

t.test('the comment of a chain says what is of its list, where there is room', async t => {
  const type = 'ifname . ether_addr'
  const names = ['to4-0123456789abcdef', 'at4-0123456789abcdef']
  const keys = ['"br0" . 02:00:00:00:00:02', '"br0.7" . 02:00:00:00:00:02']
  const text = belongingsText({ keys, sets: names.slice(0, 1) })
  t.equal(text, `${keys.join(', ')}; to4`)
  t.strictSame(belongingsIn(text, type, names), {
    keys: keys.map(each => keyBytes(type, each)),
    sets: names.slice(0, 1),
  })
  const named = belongingsText({ keys, sets: names, digest: '0123456789abcdef' })
  t.equal(belongingsIn(named, type, names)?.digest, '0123456789abcdef')
  t.equal(belongingsText({ keys: [...keys, ...keys, ...keys], sets: names }), undefined)
  for (const other of [undefined, '', 'a list', 'br0; to4', '"br0" . 02:00:00:00:00:0g; to4'])
    t.equal(belongingsIn(other, type, names), undefined)
})
