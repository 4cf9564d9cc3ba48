import fc from 'fast-check'
import t from 'tap'
import { parseIp } from '../../src/model/address/address.ts'
import { keysOf, portPrefixes, type RedirectPlan, targetValue } from '../../src/redirect/plan.ts'

const range = fc
  .integer({ min: 1, max: 65_535 })
  .chain(first =>
    fc.record({ first: fc.constant(first), count: fc.integer({ min: 1, max: 65_536 - first }) }),
  )

t.test('prefixes of a range hold each of its ports once, and no other', async () => {
  fc.assert(
    fc.property(range, ({ first, count }) => {
      let next = first
      for (const { port, length } of portPrefixes(first, count)) {
        const size = 2 ** (16 - length)
        if (port !== next || port % size !== 0) return false
        next += size
      }
      return next === first + count
    }),
  )
})

t.test('a range takes at most thirty prefixes', async t => {
  t.equal(portPrefixes(1, 65_534).length, 30)
  fc.assert(fc.property(range, ({ first, count }) => portPrefixes(first, count).length <= 30))
})

const plan = (over: Partial<RedirectPlan>): RedirectPlan => ({
  on: [4],
  hostPort: 8080,
  count: 1,
  target: { ip: parseIp('10.1.0.2'), port: 80 },
  ...over,
})
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

t.test('a key is the bits that count, the namespace, the family, the port and the address', async t => {
  const cookie = 0x0102030405060708n
  t.same(keysOf(plan({ on: [4, 6] }), cookie).map(hex), [
    `60000000${'0807060504030201'}0400${'1f90'}${'00'.repeat(16)}`,
    `60000000${'0807060504030201'}0600${'1f90'}${'00'.repeat(16)}`,
  ])
  t.same(keysOf(plan({ on: [parseIp('127.0.0.1'), parseIp('::1')] }), cookie).map(hex), [
    `e0000000${'0807060504030201'}0400${'1f90'}${'00'.repeat(10)}ffff7f000001`,
    `e0000000${'0807060504030201'}0600${'1f90'}${'00'.repeat(15)}01`,
  ])
})

t.test('ten thousand ports of all addresses are a few keys, of one address a key each', async t => {
  t.ok(keysOf(plan({ hostPort: 10_000, count: 10_000 }), 1n).length <= 30)
  t.equal(keysOf(plan({ on: [parseIp('127.0.0.1')], hostPort: 10_000, count: 10_000 }), 1n).length, 10_000)
})

t.test('a value is the address, what is added to the port, the family and where it is counted', async t => {
  t.equal(hex(targetValue(plan({}), 5)), `${'00'.repeat(10)}ffff0a010002${'c0e0'}0400${'05000000'}`)
  const up = plan({ hostPort: 80, target: { ip: parseIp('fd00::2'), port: 8080 } })
  t.equal(hex(targetValue(up, 0)), `fd00${'00'.repeat(13)}02${'401f'}0600${'00000000'}`)
})
