import { BlockList } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import {
  bitsOf,
  bytesOf,
  type Cidr,
  cidrOf,
  contains,
  type Family,
  familyOf,
  type Ip,
  ipAt,
  ipFromBytes,
  ipOf,
  isCidr,
  isForMany,
  isIp,
  isLoopback,
  isMulticast,
  isUnspecified,
  lastOf,
  lengthOf,
  networkOf,
  numberOf,
  overlaps,
  parseCidr,
  parseIp,
  stepFrom,
  tryParseIp,
} from '../../../src/model/address/address.ts'

// What follows up to the first test computes addresses a second time, by other means than the code under
// test: sixteen-bit groups and plain loops.

const v4 = fc.bigInt({ min: 0n, max: 2n ** 32n - 1n })
const v6 = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
  // Groups that are often zero, so that all ways of writing `::` are met.
  fc
    .array(fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff })), {
      minLength: 8,
      maxLength: 8,
    })
    .map(groups => groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n)),
)
const address = fc.oneof(
  v4.map(value => ({ family: 4 as Family, value })),
  v6.map(value => ({ family: 6 as Family, value })),
)
const prefix = address.chain(({ family, value }) =>
  fc.integer({ min: 0, max: bitsOf(family) }).map(length => ({ family, value, length })),
)

const dotted = (value: bigint) => [24n, 16n, 8n, 0n].map(shift => (value >> shift) & 255n).join('.')
const groupsOf = (value: bigint) =>
  Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn))

/** All groups written out, as `2001:db8:0:0:0:0:0:1`. */
const longForm = (value: bigint) =>
  groupsOf(value)
    .map(group => group.toString(16))
    .join(':')

/** inet_ntop(3): the first longest run of two zero groups or more is left out; ::a.b.c.d and ::ffff:a.b.c.d. */
function shortForm(value: bigint): string {
  const groups = groupsOf(value)
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  const embeds = best.start === 0 && (best.length === 6 || (best.length === 5 && groups[5] === 0xffff))
  if (embeds) return `${best.length === 6 ? '::' : '::ffff:'}${dotted(value & 0xffff_ffffn)}`
  if (best.start < 0) return longForm(value)
  const hex = (part: number[]) => part.map(group => group.toString(16)).join(':')
  return `${hex(groups.slice(0, best.start))}::${hex(groups.slice(best.start + best.length))}`
}

const canonical = ({ family, value }: { family: Family; value: bigint }) =>
  family === 4 ? dotted(value) : shortForm(value)

t.test('an address is printed as inet_ntop prints it, and read back to the same number', async t => {
  fc.assert(
    fc.property(address, ({ family, value }) => {
      const ip = ipAt(value, family)
      return (
        ip === canonical({ family, value }) &&
        numberOf(ip) === value &&
        familyOf(ip) === family &&
        parseIp(ip) === ip
      )
    }),
    { numRuns: 2000 },
  )
  for (const known of [
    '::',
    '::1',
    '1::',
    '::2:3',
    '1:0:0:2::',
    'fe80::1',
    '1:2:3:4:5:6:7:8',
    '::ffff:10.0.0.1',
  ]) {
    t.equal(parseIp(known), known === '::2:3' ? '::0.2.0.3' : known)
  }
})

t.test('every way of writing an IPv6 address leads to one text', async () => {
  const spelling = fc.record({ upper: fc.boolean(), padded: fc.boolean(), embedded: fc.boolean() })
  fc.assert(
    fc.property(v6, spelling, (value, { upper, padded, embedded }) => {
      let groups = groupsOf(value).map(group => group.toString(16))
      if (padded) groups = groups.map(group => group.padStart(4, '0'))
      if (embedded) groups = [...groups.slice(0, 6), dotted(value & 0xffff_ffffn)]
      const text = groups.join(':')
      return parseIp(upper ? text.toUpperCase() : text) === shortForm(value)
    }),
    { numRuns: 1000 },
  )
})

t.test('text that is no address is refused, with the name of the value and the value', async t => {
  const wrong = [
    '',
    ' 10.0.0.1',
    '10.0.0.1 ',
    '10.0.0.1\n',
    '10.0.0',
    '10.0.0.1.2',
    '10.0.0.256',
    '10.0.0.01',
    '010.0.0.1',
    '0x0a.0.0.1',
    '167772161',
    '10.0.0.1/24',
    '10,0,0,1',
    '１0.0.0.1',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    'fe80::1%eth0',
    '[::1]',
    '::1/64',
    '::10.0.0.256',
    'localhost',
  ]
  for (const text of wrong) {
    t.equal(tryParseIp(text), undefined, text)
    t.throws(() => parseIp(text, 'gateway'), {
      code: 'invalid-config',
      message: `gateway: ${JSON.stringify(text)} is not an IP address`,
    })
  }
})

t.test('no text makes the parser do anything but answer or refuse', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:.%/]{0,45}$/)), text => {
      const ip = tryParseIp(text)
      return ip === undefined || tryParseIp(ip) === ip
    }),
    { numRuns: 2000 },
  )
})

t.test('an address and its bytes are one', async t => {
  fc.assert(
    fc.property(address, ({ family, value }) => {
      const ip = ipAt(value, family)
      const bytes = bytesOf(ip)
      const sum = bytes.reduce((total, byte) => total * 256n + BigInt(byte), 0n)
      return bytes.length * 8 === bitsOf(family) && sum === value && ipFromBytes(bytes) === ip
    }),
  )
  for (const length of [0, 3, 5, 15, 17]) t.throws(() => ipFromBytes(new Uint8Array(length)), RangeError)
})

t.test('a number outside of the family is no address', async t => {
  for (const [value, family] of [
    [-1n, 4],
    [2n ** 32n, 4],
    [-1n, 6],
    [2n ** 128n, 6],
  ] as const) {
    t.throws(() => ipAt(value, family), RangeError)
  }
  t.throws(() => stepFrom(parseIp('255.255.255.255'), 1n), RangeError)
  t.throws(() => stepFrom(parseIp('::'), -1n), RangeError)
})

t.test('a step leads as far as its number says', async () => {
  fc.assert(
    fc.property(address, fc.bigInt({ min: -(2n ** 20n), max: 2n ** 20n }), ({ family, value }, offset) => {
      fc.pre(value + offset >= 0n && value + offset < 2n ** BigInt(bitsOf(family)))
      return stepFrom(ipAt(value, family), offset) === canonical({ family, value: value + offset })
    }),
  )
})

t.test('a prefix is read to its parts and printed anew', async t => {
  fc.assert(
    fc.property(prefix, ({ family, value, length }) => {
      const long = family === 4 ? dotted(value) : longForm(value)
      const cidr = parseCidr(`${long}/${length}`)
      return (
        cidr === `${canonical({ family, value })}/${length}` &&
        ipOf(cidr) === ipAt(value, family) &&
        lengthOf(cidr) === length &&
        familyOf(cidr) === family
      )
    }),
  )
  t.equal(parseCidr('10.0.0.0/08'), '10.0.0.0/8', 'a length is a number, not a text')
})

t.test('text that is no prefix is refused, with the name of the value and the value', async t => {
  const wrong = [
    '',
    '/',
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/+8',
    '10.0.0.0/8.0',
  ]
  wrong.push(
    '10.0.0.0/ 8',
    '10.0.0.0/8/8',
    '10.0.0.0/255.0.0.0',
    '/8',
    '::/129',
    '::/0x8',
    '10.0.0/8',
    '::/1e1',
  )
  for (const text of wrong) {
    t.throws(() => parseCidr(text, 'subnet'), {
      code: 'invalid-config',
      message: `subnet: ${JSON.stringify(text)} is not an address with a prefix length, such as 10.1.0.0/16`,
    })
  }
})

t.test('network, last address and membership agree with counting, and with BlockList', async () => {
  fc.assert(
    fc.property(prefix, address, ({ family, value, length }, other) => {
      const size = 2n ** BigInt(bitsOf(family) - length)
      const first = value - (value % size)
      const cidr = cidrOf(ipAt(value, family), length)
      const list = new BlockList()
      const name = family === 4 ? 'ipv4' : 'ipv6'
      list.addSubnet(ipAt(value, family), length, name)
      const inside = ipAt(first + (other.value % size), family)
      const elsewhere = ipAt(other.value % 2n ** BigInt(bitsOf(family)), family)
      return (
        networkOf(cidr) === `${ipAt(first, family)}/${length}` &&
        lastOf(cidr) === ipAt(first + size - 1n, family) &&
        contains(cidr, inside) &&
        contains(cidr, elsewhere) === list.check(elsewhere, name)
      )
    }),
    { numRuns: 1000 },
  )
})

t.test('prefixes overlap when one holds the other', async t => {
  fc.assert(
    fc.property(prefix, prefix, (a, b) => {
      const [one, two] = [a, b].map(({ family, value, length }) => cidrOf(ipAt(value, family), length)) as [
        Cidr,
        Cidr,
      ]
      const range = ({ family, value, length }: typeof a) => {
        const size = 2n ** BigInt(bitsOf(family) - length)
        return { first: value - (value % size), last: value - (value % size) + size - 1n }
      }
      const meet = range(a).first <= range(b).last && range(b).first <= range(a).last
      return (
        overlaps(one, two) === (a.family === b.family && meet) && overlaps(one, two) === overlaps(two, one)
      )
    }),
    { numRuns: 1000 },
  )
  t.notOk(overlaps('0.0.0.0/0' as Cidr, '::/0' as Cidr))
  t.notOk(contains('::/0' as Cidr, '10.0.0.1' as Ip))
})

t.test('the addresses with a meaning of their own are told apart', async t => {
  for (const text of ['0.0.0.0', '::', '0:0:0:0:0:0:0:0']) t.ok(isUnspecified(parseIp(text)), text)
  for (const text of ['127.0.0.1', '127.255.255.254', '::1', '0::1']) t.ok(isLoopback(parseIp(text)), text)
  for (const text of ['128.0.0.1', '1.27.0.0', '::2', 'fe80::1']) {
    t.notOk(isLoopback(parseIp(text)), text)
    t.notOk(isUnspecified(parseIp(text)), text)
  }
})

t.test('addresses of many are those of multicast, and broadcast', async t => {
  for (const text of ['224.0.0.1', '239.255.255.250', 'ff02::1', 'ffff::1'])
    t.ok(isMulticast(parseIp(text)), text)
  for (const text of ['223.255.255.255', '240.0.0.1', 'ff::1', 'fe80::1', '255.255.255.255'])
    t.notOk(isMulticast(parseIp(text)), text)
  for (const text of ['224.0.0.1', '255.255.255.255', 'ff02::1']) t.ok(isForMany(parseIp(text)), text)
  for (const text of ['255.255.255.254', 'ff::1']) t.notOk(isForMany(parseIp(text)), text)
})

t.test('what isCidr and isIp take is what the parsers take', async t => {
  const part = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.constantFrom(
      '',
      '10.0.0.01',
      '::',
      '1::2::3',
      'fe80::1%eth0',
      '::ffff:1.2.3.4',
      'G::1',
      '::@',
      '256.1.1.1',
    ),
  )
  const length = fc.oneof(
    fc.integer({ min: -1, max: 140 }).map(String),
    fc.constantFrom('', '08', '1/2', '+1', '1e1'),
  )
  const succeeds = (parse: () => unknown) => {
    try {
      return parse() !== undefined
    } catch {
      return false
    }
  }
  fc.assert(
    fc.property(part, length, fc.boolean(), (address, bits, bare) => {
      const text = bare ? address : `${address}/${bits}`
      return isCidr(text) === succeeds(() => parseCidr(text)) && isIp(text) === succeeds(() => parseIp(text))
    }),
    { numRuns: 2000 },
  )
  for (const value of [undefined, null, 7, {}, []]) t.notOk(isCidr(value) || isIp(value))
})
