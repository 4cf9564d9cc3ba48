import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { sha512 } from '../../src/model/sha512.ts'

t.test('the digest of FIPS 180-4', async t => {
  t.match(sha512('abc'), /^ddaf35a193617abacc417349ae204131.*a54ca49f$/)
})

t.test('any text hashes as it does in Node', async () => {
  const text = fc.oneof(fc.string({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 100 }))
  fc.assert(fc.property(text, text => sha512(text) === createHash('sha512').update(text).digest('hex')))
})
