/** The choice of a subnet: it overlaps with nothing, and is found wherever there is one. */

import fc from 'fast-check'
import t from 'tap'
import {
  type Cidr,
  cidrOf,
  contains,
  familyOf,
  ipAt,
  ipOf,
  lengthOf,
  networkOf,
  overlaps,
  parseCidr,
} from '../../src/model/address/address.ts'
import { DEFAULT_POOLS, drawSubnet, pickSubnet } from '../../src/networks/subnets.ts'

/** A pool of sixteen prefixes, so that a look at each says what there is. */
const small = { base: parseCidr('10.210.16.0/20'), length: 24 }
const members = Array.from({ length: 16 }, (_, i) => parseCidr(`10.210.${16 + i}.0/24`))

const prefix = (family: 4 | 6, first: bigint, bits: number): fc.Arbitrary<Cidr> =>
  fc
    .tuple(fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }), fc.nat({ max: bits }))
    .map(([host, cut]) => networkOf(cidrOf(ipAt(first + host, family), (family === 4 ? 32 : 128) - cut)))

const near = prefix(4, 0x0ad21000n, 12)
const anywhere4 = prefix(4, 0n, 32)

t.test(
  'of a pool the first prefix is taken that overlaps with nothing, and one is found where there is one',
  async t => {
    fc.assert(
      fc.property(fc.array(fc.oneof({ weight: 9, arbitrary: near }, anywhere4), { maxLength: 20 }), taken => {
        const free = members.filter(member => !taken.some(cidr => overlaps(cidr, member)))
        return pickSubnet([small], taken) === free[0]
      }),
      { numRuns: 500 },
    )
    t.pass()
  },
)

t.test('networks that are made one after the other never overlap, in the pools of the program', async t => {
  const taken: Cidr[] = [parseCidr('10.210.1.0/25'), parseCidr('10.210.4.0/22')]
  for (let left = 300; left > 0; left--) {
    const subnet = pickSubnet(DEFAULT_POOLS, taken)
    t.notOk(subnet === undefined || taken.some(cidr => overlaps(cidr, subnet)), String(subnet))
    taken.push(...(subnet === undefined ? [] : [subnet]))
  }
  t.same(taken.slice(2, 6), ['10.210.0.0/24', '10.210.2.0/24', '10.210.3.0/24', '10.210.8.0/24'])
})

t.test('a pool that is full, or that a route covers, is passed over', async t => {
  t.equal(pickSubnet(DEFAULT_POOLS, [parseCidr('10.0.0.0/8')]), '172.30.0.0/24')
  t.equal(
    pickSubnet(DEFAULT_POOLS, [parseCidr('10.0.0.0/8'), parseCidr('172.16.0.0/12')]),
    '192.168.128.0/24',
  )
  t.equal(pickSubnet([small], members), undefined)
  t.equal(pickSubnet([small], members.slice(0, -1)), members.at(-1))
})

t.test('an IPv6 subnet is drawn below fd00::/8, and drawn again where it is taken', async t => {
  const bytes = (...octets: number[]) => Uint8Array.from(octets)
  const draws = [bytes(1, 2, 3, 4, 5), bytes(9, 8, 7, 6, 5)]
  const draw = () => draws.shift() ?? t.fail('drawn too often') ?? bytes()
  t.equal(drawSubnet([parseCidr('fd01:203:405::/48')], draw as () => Uint8Array), 'fd09:807:605::/64')
  t.equal(
    drawSubnet([parseCidr('fc00::/7')], () => bytes(1, 2, 3, 4, 5)),
    undefined,
  )
  fc.assert(
    fc.property(
      fc.array(prefix(6, 0xfdn << 120n, 120), { maxLength: 5 }),
      fc.uint8Array({ minLength: 5, maxLength: 5 }),
      (taken, drawn) => {
        const subnet = drawSubnet(taken, () => drawn)
        return (
          subnet === undefined ||
          (lengthOf(subnet) === 64 &&
            familyOf(subnet) === 6 &&
            contains('fd00::/8' as Cidr, ipOf(subnet)) &&
            !taken.some(cidr => overlaps(cidr, subnet)))
        )
      },
    ),
  )
})
