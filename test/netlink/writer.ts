import t from 'tap'
import { attributes, nested } from '../../src/netlink/attributes.ts'
import { binary, concatenate, u8, u32, zstr } from '../../src/netlink/codecs.ts'
import { Writer, written } from '../../src/netlink/writer.ts'

t.test('what is written within something else does not get into it', async t => {
  const outer = written(to => {
    u8.write(to, 1)
    t.strictSame([...u32.encode(0x02020202)], [2, 2, 2, 2])
    u8.write(to, 3)
  })
  t.strictSame([...outer], [1, 3])
})

t.test('what fails leaves nothing behind', async t => {
  const table = attributes({ first: [1, zstr], second: [2, u8] })
  t.throws(() => table.encode({ first: 'left', second: 256 }), RangeError)
  t.strictSame([...u8.encode(9)], [9])
})

t.test('what was written before stays the same when there is no room for more', async t => {
  const table = attributes({ small: [1, u32], inner: [2, nested(attributes({ large: [1, binary] }))] })
  const large = new Uint8Array(60_000).fill(7)
  const bytes = table.encode({ small: 5, inner: { large } })
  t.strictSame(table.decode(bytes), { small: 5, inner: { large } })
  t.equal(bytes.length, 8 + 4 + 4 + large.length)
})

t.test('what a longer message left is not seen in the padding of a shorter one', async t => {
  const to = new Writer()
  to.append(new Uint8Array(64).fill(0xff))
  to.length = 0
  zstr.write(to, 'é')
  to.align(0)
  u32.write(to, 1)
  t.strictSame([...to.bytes.subarray(0, to.length)], [0xc3, 0xa9, 0, 0, 1, 0, 0, 0])
  t.strictSame(
    [...attributes({ a: [1, zstr] }).encode({ a: 'x' })],
    [...concatenate([Uint8Array.of(6, 0, 1, 0, 0x78, 0, 0, 0)])],
  )
})
