/** Node's own readers and printers of addresses are the measure of ours. */

import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import fc from 'fast-check'
import t from 'tap'
import { bitsOfText, printAddress, readAddress } from '../../../src/model/address/text.ts'

// Text out of which addresses and what is nearly one come about often.
const pieces = [
  '0',
  '1',
  '9',
  'f',
  'F',
  'g',
  '00',
  '01',
  '255',
  '256',
  'ffff',
  '10000',
  '.',
  ':',
  '::',
  '%',
  ' ',
]
const nearly = fc.array(fc.constantFrom(...pieces), { maxLength: 16 }).map(list => list.join(''))
const groups = fc.array(fc.constantFrom('0', '1', 'ab', 'FFFF', '00', '1.2.3.4', ''), { maxLength: 10 })
const octets = fc.array(fc.constantFrom('0', '1', '255', '256', '01', ''), { minLength: 3, maxLength: 5 })
const text = fc.oneof(
  nearly,
  groups.map(list => list.join(':')),
  octets.map(list => list.join('.')),
  fc.ipV4(),
  fc.ipV6(),
  fc.string(),
)

t.test('what Node takes for an address without a zone is one, and nothing else', async () => {
  fc.assert(
    fc.property(text, text => {
      const known = isIPv4(text) || (isIPv6(text) && !text.includes('%'))
      return (readAddress(text) !== undefined) === known
    }),
    { numRuns: 5000 },
  )
})

t.test('what is only looked at counts as what it is read as, alone and in front of something', async () => {
  fc.assert(
    fc.property(text, text => {
      const bits = (readAddress(text)?.length ?? 0) * 8
      return bitsOfText(text) === bits && bitsOfText(`${text}/:64`, text.length) === bits
    }),
    { numRuns: 5000 },
  )
})

t.test('an address is printed as Node prints it', async t => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), text.filter(isIPv6)), text => {
      if (text.includes('%')) return true
      const family = isIPv4(text) ? 'ipv4' : 'ipv6'
      const printed = printAddress(readAddress(text) ?? new Uint8Array(4))
      return printed === new SocketAddress({ address: text, family }).address
    }),
    { numRuns: 2000 },
  )
  for (const text of [
    '::',
    '::1',
    '1::',
    '1:0:0:2::',
    '::1:2',
    '::1.2.3.4',
    '::ffff:1.2.3.4',
    '0:0:1::1:0:0',
  ]) {
    const { address } = new SocketAddress({ address: text, family: 'ipv6' })
    t.equal(printAddress(readAddress(text) ?? new Uint8Array(4)), address)
  }
})

t.test('an address that is printed can be read again', async () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  )
  fc.assert(
    fc.property(
      bytes,
      bytes => Buffer.compare(bytes, readAddress(printAddress(bytes)) ?? bytes.slice(1)) === 0,
    ),
  )
})
