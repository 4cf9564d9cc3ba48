import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { ownSha256, sha256 } from '../../src/model/sha256.ts'

t.test('the digests of FIPS 180-4', async t => {
  t.equal(sha256('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  t.equal(sha256(''), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
})

t.test('any text hashes as it does in Node', async () => {
  const text = fc.oneof(fc.string({ maxLength: 200 }), fc.string({ unit: 'binary', maxLength: 100 }))
  fc.assert(
    fc.property(text, text => {
      const digest = createHash('sha256').update(text).digest('hex')
      return ownSha256(text) === digest && sha256(text) === digest
    }),
    { numRuns: 300 },
  )
})

t.test('texts of all lengths around the ends of blocks hash as in Node', async t => {
  for (let length = 50; length < 135; length++) {
    const text = 'x'.repeat(length)
    t.equal(ownSha256(text), createHash('sha256').update(text).digest('hex'), `${length} bytes`)
  }
})
