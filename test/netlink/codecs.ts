import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Ip } from '../../src/model/address/address.ts'
import {
  be16,
  binary,
  bool,
  type Codec,
  flag,
  ip,
  MalformedError,
  mac,
  s32,
  struct,
  u8,
  u16,
  u32,
  u64,
  zstr,
} from '../../src/netlink/codecs.ts'

const ips = fc.oneof(
  fc.ipV4(),
  fc.constantFrom('::', '::1', '2001:db8::1', '::ffff:1.2.3.4', 'fe80::a:b'),
) as fc.Arbitrary<Ip>
const macs = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 2, maxLength: 8 }).map(mac_ => {
  return mac_.map(octet => octet.toString(16).padStart(2, '0')).join(':')
})

t.test('every value comes back as it was written', async t => {
  const same = <T>(codec: Codec<T>, values: fc.Arbitrary<T>) => {
    const property = fc.property(values, value => deepEqual(codec.decode(codec.encode(value)), value))
    t.doesNotThrow(() => fc.assert(property))
  }
  same(u8, fc.integer({ min: 0, max: 0xff }))
  same(u16, fc.integer({ min: 0, max: 0xffff }))
  same(be16, fc.integer({ min: 0, max: 0xffff }))
  same(u32, fc.integer({ min: 0, max: 0xffffffff }))
  same(s32, fc.integer({ min: -0x80000000, max: 0x7fffffff }))
  same(u64, fc.bigInt({ min: 0n, max: 0xffffffffffffffffn }))
  same(bool, fc.boolean())
  same(
    zstr,
    fc.string().filter(text => !text.includes('\0')),
  )
  same(binary, fc.uint8Array())
  same(mac, macs)
  same(ip, ips)
})

t.test('numbers travel in the byte order of their kind', async t => {
  t.strictSame([...u32.encode(0x01020304)], [4, 3, 2, 1])
  t.strictSame([...be16.encode(4789)], [0x12, 0xb5])
  t.strictSame([...s32.encode(-19)], [0xed, 0xff, 0xff, 0xff])
  t.strictSame([...zstr.encode('lo')], [0x6c, 0x6f, 0])
  t.strictSame([...flag.encode(true)], [])
})

t.test('what does not fit is refused instead of becoming something else', async t => {
  for (const write of [
    () => u8.encode(256),
    () => u8.encode(-1),
    () => u16.encode(65536),
    () => u32.encode(2 ** 32),
    () => u32.encode(1.5),
    () => u32.encode(Number.NaN),
    () => s32.encode(2 ** 31),
    () => u64.encode(-1n),
    () => zstr.encode('eth0\0evil'),
    () => mac.encode('zz:00:00:00:00:01'),
    () => mac.encode('020000000001'),
  ]) {
    t.throws(write, RangeError, String(write))
  }
})

t.test('too few bytes are malformed', async t => {
  for (const [codec, size] of [
    [u8, 1],
    [u16, 2],
    [be16, 2],
    [u32, 4],
    [s32, 4],
    [u64, 8],
  ] as [Codec<unknown>, number][]) {
    t.throws(() => codec.decode(new Uint8Array(size - 1)), MalformedError)
    codec.decode(new Uint8Array(size + 1))
  }
  for (const length of [0, 3, 5, 15, 17]) t.throws(() => ip.decode(new Uint8Array(length)), MalformedError)
})

t.test('text ends at its first NUL, or with its bytes', async t => {
  t.equal(zstr.decode(Buffer.from('web\0junk')), 'web')
  t.equal(zstr.decode(Buffer.from('web')), 'web')
  t.equal(zstr.decode(new Uint8Array(0)), '')
})

t.test('bytes that were read stay when the receive buffer is used again', async t => {
  const buffer = Uint8Array.of(1, 2, 3)
  const value = binary.decode(buffer)
  buffer.fill(9)
  t.strictSame([...value], [1, 2, 3])
})

t.test('a struct has its fields at their offsets and zeros elsewhere', async t => {
  const codec = struct(8, { family: [0, u8], index: [4, s32] })
  t.strictSame([...codec.encode({ index: 2 })], [0, 0, 0, 0, 2, 0, 0, 0])
  t.strictSame(codec.decode(Uint8Array.of(10, 1, 1, 1, 2, 0, 0, 0, 99)), { family: 10, index: 2 })
  t.throws(() => codec.decode(new Uint8Array(7)), MalformedError)
})
