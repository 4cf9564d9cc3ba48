import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { attributes, encodeAttribute, nested, only, payload, repeated } from '../../src/netlink/attributes.ts'
import { flag, MalformedError, struct, u8, u16, u32, zstr } from '../../src/netlink/codecs.ts'

const inner = attributes({ id: [1, u32], on: [2, flag] })
const table = attributes({
  name: [3, zstr],
  mtu: [4, u32],
  list: [7, repeated(u16)],
  inner: [18, nested(inner)],
})

t.test('a table writes its rows in its own order, padded to four bytes', async t => {
  t.equal(
    Buffer.from(table.encode({ mtu: 1500, name: 'lo' })).toString('hex'),
    // length 7, type 3, "lo\0", padding; length 8, type 4, 1500
    '07000300' + '6c6f0000' + '08000400' + 'dc050000',
  )
})

t.test('nested attributes carry the flag that strict kernels ask for', async t => {
  t.equal(Buffer.from(table.encode({ inner: { id: 5 } })).toString('hex'), '0c001280' + '0800010005000000')
})

t.test('what is written is read again, whatever is left out', async t => {
  const name = fc.string({ maxLength: 20 }).filter(text => !text.includes('\0'))
  const values = fc.record(
    {
      name,
      mtu: fc.nat(),
      list: fc.array(fc.nat(0xffff), { minLength: 1 }),
      inner: fc.record(
        { id: fc.nat(), on: fc.constant(true as const) },
        { requiredKeys: [], noNullPrototype: true },
      ),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  t.doesNotThrow(() =>
    fc.assert(fc.property(values, value => deepEqual(table.decode(table.encode(value)), value))),
  )
})

t.test('what a table does not list is skipped', async t => {
  const bytes = Buffer.concat([
    encodeAttribute(99, new Uint8Array(5)),
    table.encode({ mtu: 9 }),
    encodeAttribute(100, new Uint8Array(0)),
  ])
  t.strictSame(table.decode(bytes), { mtu: 9 })
})

t.test('the last attribute may come without its padding', async t => {
  const bytes = table.encode({ name: 'lo' })
  t.strictSame(table.decode(bytes.subarray(0, 7)), { name: 'lo' })
})

t.test('lengths that contradict the bytes are malformed', async t => {
  for (const hex of ['07', '0700', '03000300', '00000300', '09000300aabbccdd', '08000400dc05']) {
    t.throws(() => table.decode(Buffer.from(hex, 'hex')), MalformedError, hex)
  }
  t.throws(() => table.decode(Buffer.from('06000400dc05', 'hex')), MalformedError, 'too short for its kind')
})

t.test('an attribute longer than its length field is refused', async t => {
  t.throws(() => encodeAttribute(1, new Uint8Array(65532)), RangeError)
  t.equal(encodeAttribute(1, new Uint8Array(65531)).length, 65536)
})

const byKind = attributes({
  kind: [1, zstr],
  number: [2, only('kind', 'number', u32)],
  text: [2, only('kind', 'text', zstr)],
})

t.test('one attribute has the meaning that its sibling gives it', async t => {
  t.strictSame(byKind.decode(byKind.encode({ kind: 'number', number: 7 })), { kind: 'number', number: 7 })
  t.strictSame(byKind.decode(byKind.encode({ kind: 'text', text: 'x' })), { kind: 'text', text: 'x' })
  t.strictSame(byKind.decode(byKind.encode({ kind: 'other', number: 7 })), { kind: 'other' })
  t.strictSame(byKind.decode(byKind.encode({ number: 7 })), {}, 'without the sibling it has none')
})

t.test('a payload is a struct, and attributes from the next multiple of four on', async t => {
  const codec = payload(struct(6, { family: [0, u8], flags: [4, u16] }), inner)
  const bytes = codec.encode({ header: { flags: 3 }, attributes: { id: 1 } })
  t.equal(Buffer.from(bytes).toString('hex'), '000000000300' + '0000' + '0800010001000000')
  t.strictSame(codec.decode(bytes), { header: { family: 0, flags: 3 }, attributes: { id: 1 } })
  t.strictSame(codec.decode(bytes.subarray(0, 6)).attributes, {})
  t.throws(() => codec.decode(bytes.subarray(0, 5)), MalformedError)
})
