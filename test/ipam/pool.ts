import t from 'tap'
import { inRange, nameOf, normalise } from '../../src/ipam/pool.ts'
import { parseIp } from '../../src/model/address/address.ts'
import { type RangeText, range } from '../support/leases.ts'

const pool = (...sets: (string | RangeText)[][]) => normalise(sets.map(set => set.map(range)))

t.test('what a range leaves out has the defaults of host-local', async t => {
  t.same(pool(['10.1.0.0/24']), [
    [{ subnet: '10.1.0.0/24', start: '10.1.0.1', end: '10.1.0.254', gateway: '10.1.0.1' }],
  ])
  t.same(pool(['fd00:0:0:1::/64']), [
    [
      {
        subnet: 'fd00:0:0:1::/64',
        start: 'fd00:0:0:1::1',
        end: 'fd00::1:ffff:ffff:ffff:ffff',
        gateway: 'fd00:0:0:1::1',
      },
    ],
  ])
})

t.test('the last address is that before the broadcast address, whatever the length', async t => {
  const lastOf = (subnet: string) => pool([subnet])[0]?.[0]?.end
  t.equal(lastOf('10.1.0.0/30'), '10.1.0.2')
  t.equal(lastOf('10.1.0.128/25'), '10.1.0.254')
  t.equal(lastOf('10.0.0.0/8'), '10.255.255.254')
  t.equal(lastOf('fd00::/126'), 'fd00::3')
})

t.test('what a range says stays', async t => {
  const full = {
    subnet: '10.1.0.0/24',
    rangeStart: '10.1.0.10',
    rangeEnd: '10.1.0.20',
    gateway: '10.1.0.254',
  }
  t.same(pool([full])[0], [
    { subnet: '10.1.0.0/24', start: '10.1.0.10', end: '10.1.0.20', gateway: '10.1.0.254' },
  ])
})

t.test('a gateway may lie outside of the subnet, but not in another family', async t => {
  t.match(pool([{ subnet: '10.1.0.0/24', gateway: '10.2.0.1' }])[0], [{ gateway: '10.2.0.1' }])
  t.throws(() => pool([{ subnet: '10.1.0.0/24', gateway: 'fd00::1' }]), {
    code: 'invalid-config',
    message: 'ipam.ranges: invalid range set 0: gateway fd00::1 is of another family than 10.1.0.0/24',
  })
})

t.test('a set may have several ranges, a pool several sets and both families', async t => {
  const both = pool(['10.1.0.0/24', '10.2.0.0/24'], ['fd00::/64'])
  t.same(
    both.map(set => set.map(nameOf)),
    [['10.1.0.1-10.1.0.254', '10.2.0.1-10.2.0.254'], ['fd00::1-fd00::ffff:ffff:ffff:ffff']],
  )
})

const refused: [string, (string | RangeText)[][], string][] = [
  ['no set', [], 'ipam: no IP ranges specified'],
  ['an empty set', [['10.1.0.0/24'], []], 'ipam.ranges: invalid range set 1: empty range set'],
  ['a subnet of two addresses', [['10.1.0.0/31']], 'Network 10.1.0.0/31 too small to allocate from'],
  ['a subnet of one address', [['fd00::1/128']], 'Network fd00::1/128 too small to allocate from'],
  ['an IPv6 subnet of two addresses', [['fd00::/127']], 'Network fd00::/127 too small to allocate from'],
  [
    'host bits',
    [['10.1.0.5/24']],
    'Network has host bits set. For a subnet mask of length 24 the network address is 10.1.0.0',
  ],
  [
    'host bits of IPv6',
    [['fd00::1/64']],
    'Network has host bits set. For a subnet mask of length 64 the network address is fd00::',
  ],
  [
    'a start outside',
    [[{ subnet: '10.1.0.0/24', rangeStart: '10.2.0.1' }]],
    'RangeStart 10.2.0.1 not in network 10.1.0.0/24',
  ],
  [
    'a start of another family',
    [[{ subnet: '10.1.0.0/24', rangeStart: 'fd00::1' }]],
    'RangeStart fd00::1 not in network 10.1.0.0/24',
  ],
  [
    'an end outside',
    [[{ subnet: '10.1.0.0/24', rangeEnd: '10.1.1.0' }]],
    'RangeEnd 10.1.1.0 not in network 10.1.0.0/24',
  ],
  [
    'an end before the start',
    [[{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.9', rangeEnd: '10.1.0.8' }]],
    'RangeEnd 10.1.0.8 lies before RangeStart 10.1.0.9 in network 10.1.0.0/24',
  ],
  ['two families in a set', [['10.1.0.0/24', 'fd00::/64']], 'invalid range set 0: mixed address families'],
  [
    'an overlap in a set',
    [['10.1.0.0/24', '10.1.0.0/23']],
    'subnets 10.1.0.1-10.1.0.254 and 10.1.0.1-10.1.1.254 overlap',
  ],
  ['an overlap of sets', [['10.2.0.0/24'], ['10.1.0.0/24'], ['10.1.0.0/23']], 'range set 1 overlaps with 2'],
  ['IPv4 in IPv6 form', [['::ffff:10.0.0.0/120']], 'holds IPv4 addresses in IPv6 form'],
  ['the IPv4-compatible addresses', [['::/64']], 'holds IPv4 addresses in IPv6 form'],
]
for (const [what, sets, message] of refused) {
  t.test(`${what} is refused`, async t => {
    t.throws(() => pool(...sets), { code: 'invalid-config' })
    t.throws(() => pool(...sets), new RegExp(message.replaceAll('.', '\\.')))
  })
}

t.test('ranges of one subnet that do not touch are no overlap', async t => {
  const halves = [
    { subnet: '10.1.0.0/24', rangeEnd: '10.1.0.100' },
    { subnet: '10.1.0.0/24', rangeStart: '10.1.0.101' },
  ]
  t.equal(pool(halves)[0]?.length, 2)
  t.equal(pool(...halves.map(half => [half])).length, 2)
})

t.test('a range holds its ends and what lies between', async t => {
  const [[some] = []] = pool([{ subnet: '10.1.0.0/24', rangeStart: '10.1.0.5', rangeEnd: '10.1.0.7' }])
  if (some === undefined) throw new Error('no range')
  const inside = ['10.1.0.4', '10.1.0.5', '10.1.0.6', '10.1.0.7', '10.1.0.8', 'fd00::5', '10.0.0.6']
  t.same(
    inside.map(text => inRange(some, parseIp(text))),
    [false, true, true, true, false, false, false],
  )
})
