import fc from 'fast-check'
import t from 'tap'
import { repeatedKey } from '../../../src/cni/config/repeated-key.ts'

t.test('a key that stands twice is found, in one section and over two', async t => {
  t.equal(repeatedKey('{"sysctl":{"a":"1","b":"2","a":"3"}}', 'sysctl'), 'a')
  t.equal(repeatedKey('{"SysCtl" : { "a" : "1" }, "sysctl" : {"a" : "1"}}', 'sysctl'), 'a')
  t.equal(repeatedKey('{"sysctl":{"a":"1","\\u0061":"2"}}', 'sysctl'), 'a')
})

t.test('the same key in other places is none of its business', async t => {
  for (const text of [
    '{"sysctl":{"a":"1","b":"a"},"a":1,"x":{"a":1,"a":2}}',
    '{"sysctl":{"a":{"c":1,"c":2},"b":[{"c":1},{"c":1}]}}',
    '{"x":{"sysctl":{"a":1,"a":2}},"sysctl":[{"a":1},{"a":1}]}',
    '{"sysctl":{"a":"{\\"b\\":1,\\"b\\":2}"},"args":{"cni":{"sysctl":{"a":"1"}}}}',
  ]) {
    t.equal(repeatedKey(text, 'sysctl'), undefined, text)
  }
})

t.test('what JSON.stringify writes has nothing twice', async () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), value => {
      return repeatedKey(JSON.stringify({ x: value, sysctl: value }), 'sysctl') === undefined
    }),
    { numRuns: 300 },
  )
})

t.test('a value of nine megabytes is no more than a value', async t => {
  for (const value of ['x'.repeat(9_000_000), '\\'.repeat(4_000_000)])
    t.equal(repeatedKey(JSON.stringify({ x: value, sysctl: { a: '1', b: value } }), 'sysctl'), undefined)
})
