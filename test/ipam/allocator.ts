import fc from 'fast-check'
import t from 'tap'
import { assign, candidates, choose, describe, exhausted } from '../../src/ipam/allocator.ts'
import { normalise, type PoolRange } from '../../src/ipam/pool.ts'
import { type Ip, ipAt, numberOf, parseIp } from '../../src/model/address/address.ts'
import { type RangeText, range } from '../support/leases.ts'

const setOf = (...ranges: (string | RangeText)[]): PoolRange[] => normalise([ranges.map(range)])[0] ?? []
const order = (set: PoolRange[], last?: string) =>
  [...candidates(set, last === undefined ? undefined : parseIp(last))].map(({ ip }) => ip)
const ten = (...last: number[]) => last.map(number => `10.1.0.${number}`)

const small = setOf('10.1.0.0/29')

t.test(
  'a new set is given out from its beginning, without the gateway and the broadcast address',
  async t => {
    t.same(order(small), ten(2, 3, 4, 5, 6))
  },
)

t.test('after an address in the middle comes the next one, and last that address itself', async t => {
  t.same(order(small, '10.1.0.4'), ten(5, 6, 2, 3, 4))
})

t.test('after the last address comes the first', async t => {
  t.same(order(small, '10.1.0.6'), ten(2, 3, 4, 5, 6))
})

t.test('an address given out last that is not in the set counts for nothing', async t => {
  t.same(order(small, '10.9.0.4'), ten(2, 3, 4, 5, 6))
  t.same(order(small, 'fd00::4'), ten(2, 3, 4, 5, 6))
})

t.test('a gateway in the middle is left out, also as the mark of the round robin', async t => {
  const set = setOf({ subnet: '10.1.0.0/29', gateway: '10.1.0.3' })
  t.same(order(set), ten(1, 2, 4, 5, 6))
  t.same(order(set, '10.1.0.2'), ten(4, 5, 6, 1, 2))
  t.same(order(set, '10.1.0.3'), ten(4, 5, 6, 1, 2))
})

t.test('network and broadcast address are not given out even where the range says so', async t => {
  t.same(
    order(setOf({ subnet: '10.1.0.0/29', rangeStart: '10.1.0.0', rangeEnd: '10.1.0.7' })),
    ten(2, 3, 4, 5, 6),
  )
})

t.test('IPv6 has neither: the first and the last address are addresses', async t => {
  const set = setOf({ subnet: 'fd00::/126', rangeStart: 'fd00::', gateway: 'fd00::2' })
  t.same(order(set), ['fd00::', 'fd00::1', 'fd00::3'])
})

t.test('the ranges of a set follow each other, and the first the last', async t => {
  const set = setOf('10.1.0.0/30', { subnet: '10.2.0.0/29', rangeEnd: '10.2.0.3' }, '10.3.0.0/30')
  t.same(order(set), ['10.1.0.2', '10.2.0.2', '10.2.0.3', '10.3.0.2'])
  t.same(order(set, '10.2.0.2'), ['10.2.0.3', '10.3.0.2', '10.1.0.2', '10.2.0.2'])
  t.same(order(set, '10.3.0.2'), ['10.1.0.2', '10.2.0.2', '10.2.0.3', '10.3.0.2'])
})

t.test('every address comes exactly once, wherever the round begins', async () => {
  const piece = fc.record({ first: fc.integer({ min: 1, max: 30 }), size: fc.integer({ min: 0, max: 30 }) })
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 4 }), fc.nat(), (pieces, mark) => {
      const set = setOf(
        ...pieces.map(({ first, size }, index) => ({
          subnet: `10.${index}.0.0/26`,
          rangeStart: `10.${index}.0.${first}`,
          rangeEnd: `10.${index}.0.${first + size}`,
          gateway: `10.${index}.0.20`,
        })),
      )
      const all = order(set)
      const expected = pieces.flatMap(({ first, size }, index) =>
        Array.from({ length: size + 1 }, (_, i) => first + i)
          .filter(host => host !== 20)
          .map(host => `10.${index}.0.${host}`),
      )
      if (JSON.stringify(all) !== JSON.stringify(expected)) return false
      const last = all[mark % Math.max(all.length, 1)]
      if (last === undefined) return true
      const turned = [...all.slice(all.indexOf(last) + 1), ...all.slice(0, all.indexOf(last) + 1)]
      return JSON.stringify(order(set, last)) === JSON.stringify(turned)
    }),
    { numRuns: 300 },
  )
})

const notListed = () => {
  throw new Error('nobody should ask for a list')
}

t.test('the first free candidate is chosen', async t => {
  const taken = new Set(ten(2, 3, 5))
  const chosen = choose(small, parseIp('10.1.0.4'), ip => taken.has(ip), notListed)
  t.match(chosen, { ip: '10.1.0.6', range: { subnet: '10.1.0.0/29' } })
})

t.test('a full set has no choice', async t => {
  t.equal(
    choose(small, undefined, () => true, notListed),
    undefined,
  )
})

t.test('after many taken addresses one list decides, and no address is looked at twice', async t => {
  const set = setOf('10.0.0.0/8')
  const base = numberOf(parseIp('10.0.0.2'))
  const taken = new Set(Array.from({ length: 50_000 }, (_, i) => ipAt(base + BigInt(i), 4) as string))
  let looks = 0
  let lists = 0
  const isTaken = (ip: Ip) => {
    looks++
    return taken.has(ip)
  }
  const listTaken = () => {
    lists++
    return taken
  }
  t.equal(choose(set, undefined, isTaken, listTaken)?.ip, ipAt(base + 50_000n, 4))
  t.equal(lists, 1)
  t.ok(looks <= 256, `${looks} looks`)
})

t.test('a huge IPv6 set costs no more than what is taken of it', async t => {
  const set = setOf('fd00::/8')
  t.equal(choose(set, undefined, () => false, notListed)?.ip, 'fd00::2')
  t.equal(
    choose(set, parseIp('fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), () => false, notListed)?.ip,
    'fd00::2',
  )
  const taken = new Set(Array.from({ length: 2000 }, (_, i) => `fd00::${(i + 2).toString(16)}`))
  t.equal(
    choose(
      set,
      undefined,
      ip => taken.has(ip),
      () => taken,
    )?.ip,
    'fd00::7d2',
  )
})

const pool = normalise([[range('10.1.0.0/24'), range('10.2.0.0/24')], [range('fd00::/64')]])
const ask = (...texts: string[]) =>
  assign(
    pool,
    texts.map(text => parseIp(text)),
  ).map(it => it?.ip)

t.test('requested addresses go to the sets they lie in', async t => {
  t.same(ask(), [undefined, undefined])
  t.same(ask('10.2.0.7'), ['10.2.0.7', undefined])
  t.same(ask('fd00::7', '10.1.0.7'), ['10.1.0.7', 'fd00::7'])
  t.same(ask('10.1.0.7', '10.1.0.7'), ['10.1.0.7', undefined], 'named twice is asked for once')
  t.match(assign(pool, [parseIp('10.2.0.7')])[0]?.range, { subnet: '10.2.0.0/24' })
})

t.test('a requested address that fits no set, or no set any more, is refused', async t => {
  const refused = (text: string) => ({
    code: 'invalid-config',
    message: `failed to allocate all requested IPs: ${text}`,
    details: /10\.1\.0\.1-10\.1\.0\.254,10\.2\.0\.1-10\.2\.0\.254 and fd00::1-/,
  })
  t.throws(() => ask('10.9.0.1'), refused('10.9.0.1'))
  t.throws(() => ask('10.1.0.7', 'fd01::1', '10.9.0.1'), refused('fd01::1 10.9.0.1'))
  t.throws(() => ask('10.1.0.7', '10.2.0.7'), refused('10.2.0.7'))
})

t.test('the gateway cannot be requested', async t => {
  t.throws(() => ask('10.2.0.1'), {
    code: 'invalid-config',
    message: "failed to allocate for range 0: requested ip 10.2.0.1 is subnet's gateway",
  })
})

t.test('messages name a set by all its ranges', async t => {
  t.equal(describe(pool[0] ?? []), '10.1.0.1-10.1.0.254,10.2.0.1-10.2.0.254')
  t.equal(exhausted(small), 'no IP addresses available in range set: 10.1.0.1-10.1.0.6')
})
