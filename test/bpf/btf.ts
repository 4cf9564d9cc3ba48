import t from 'tap'
import { encodeStorageBtf, memberOffset } from '../../src/bpf/btf.ts'

/** A blob of types, each as its words; names are offsets into the strings. */
function blob(types: number[][], strings: string): Buffer {
  const words = types.flat()
  const bytes = Buffer.alloc(24 + words.length * 4 + strings.length)
  bytes.writeUInt16LE(0xeb9f, 0)
  bytes.writeUInt8(1, 2)
  bytes.writeUInt32LE(24, 4)
  bytes.writeUInt32LE(words.length * 4, 12)
  bytes.writeUInt32LE(words.length * 4, 16)
  bytes.writeUInt32LE(strings.length, 20)
  for (const [i, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, 24 + i * 4)
  bytes.write(strings, 24 + words.length * 4, 'latin1')
  return bytes
}

const STRINGS = '\0int\0sock_common\0skc_family\0skc_ipv6only\0'
const at = (name: string): number => STRINGS.indexOf(`\0${name}\0`) + 1
const INT = [at('int'), 1 << 24, 4, 32]
const FORWARD = [at('sock_common'), 7 << 24, 0]
const ENUM = [0, (6 << 24) | 2, 4, 0, 0, 0, 1]
const PROTOTYPE = [0, (13 << 24) | 1, 1, at('int'), 1]
const member = (name: string, offset: number) => [at(name), 1, offset]

t.test('a member is found behind types of other kinds and a declaration of the same name', async t => {
  const struct = [
    at('sock_common'),
    (4 << 24) | 2,
    136,
    member('skc_family', 128),
    member('skc_ipv6only', 157),
  ]
  t.equal(
    memberOffset(
      blob([INT, FORWARD, ENUM, PROTOTYPE, struct.flat()], STRINGS),
      'sock_common',
      'skc_ipv6only',
    ),
    157,
  )
})

t.test('of a structure with bit fields the place is without their size', async t => {
  const struct = [at('sock_common'), ((1 << 31) | (4 << 24) | 1) >>> 0, 136, (1 << 24) | 157].flat()
  const types = [...struct.slice(0, 3), at('skc_ipv6only'), 1, (1 << 24) | 157]
  t.equal(memberOffset(blob([INT, types], STRINGS), 'sock_common', 'skc_ipv6only'), 157)
})

t.test('what is not there has no place, and what is no BTF is refused', async t => {
  const whole = blob([INT, [at('sock_common'), (4 << 24) | 1, 136, ...member('skc_family', 128)]], STRINGS)
  t.equal(memberOffset(whole, 'sock_common', 'skc_ipv6only'), undefined)
  t.equal(memberOffset(whole, 'tcp_sock', 'skc_family'), undefined)
  t.throws(() => memberOffset(Buffer.alloc(64), 'sock_common', 'skc_family'), { code: 'decode' })
  t.throws(() => memberOffset(new Uint8Array(3), 'sock_common', 'skc_family'), { code: 'decode' })
})

t.test('what a map of sockets needs is an int and an array of them', async t => {
  t.equal(
    Buffer.from(encodeStorageBtf(40)).toString('hex'),
    '9feb0100180000000000000028000000280000000500000001000000000000010400000020000000000000000000000300000000' +
      '01000000010000000a00000000696e7400',
  )
})
