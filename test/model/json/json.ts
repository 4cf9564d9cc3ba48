import fc from 'fast-check'
import t from 'tap'
import { TsnetError } from '../../../src/model/errors.ts'
import { Json, parseJson } from '../../../src/model/json/json.ts'
import { shown } from '../../../src/model/json/shown.ts'

const json = (value: unknown) => new Json(value, 'key')

t.test('a key matches in any case, as encoding/json matches it', async t => {
  for (const key of ['hostPort', 'HostPort', 'HOSTPORT', 'hostport', 'ho\u017FtPort', 'hostPort']) {
    t.equal(parseJson(JSON.stringify({ [key]: 80 })).get('hostPort').value, 80, key)
  }
  t.equal(parseJson('{"\u212Aey": 1}').get('key').value, 1, 'the Kelvin sign is a k')
  t.equal(parseJson('{"host_port": 1}').get('hostPort').present, false)
})

t.test('the last of equal keys wins, whichever way they are written', async t => {
  t.equal(parseJson('{"mtu": 1, "mtu": 2}').get('mtu').value, 2)
  t.equal(parseJson('{"mtu": 1, "MTU": 2}').get('mtu').value, 2)
  t.equal(parseJson('{"MTU": 2, "mtu": 1}').get('mtu').value, 1)
})

t.test('null is the same as no key at all', async t => {
  const document = parseJson('{"a": null}')
  t.equal(document.get('a').present, false)
  t.equal(document.get('a').get('b').get('c').text(), undefined)
  t.same(document.get('a').list(), [])
  t.same(document.get('a').object(), {})
  t.equal(document.get('a').flag(), undefined)
  t.equal(document.get('a').number(0, 1), undefined)
})

t.test('an empty string is the same as no key at all', async t => {
  t.equal(parseJson('{"mac": ""}').get('mac').text(), undefined)
})

t.test('a member of a map is looked up by its exact name', async t => {
  const map = parseJson('{"Net": 1, "net": 2}')
  t.equal(map.exactly('Net').value, 1)
  t.equal(map.exactly('net').value, 2)
  t.equal(map.exactly('NET').present, false)
  t.equal(map.exactly('toString').present, false)
})

t.test('keys that JavaScript itself uses are ordinary keys', async t => {
  const document = parseJson('{"__proto__": {"isGateway": true}, "constructor": 1}')
  t.equal(document.get('isGateway').present, false)
  t.equal(document.get('constructor').value, 1)
  t.equal(parseJson('{}').get('constructor').present, false)
})

t.test('a complaint names the path of the key as it was written, and the value', async t => {
  const document = parseJson('{"runtimeConfig": {"PortMappings": [{}, {"HostPort": "x"}]}}')
  const entry = document.get('runtimeConfig').get('portMappings').list()[1]
  t.throws(() => entry?.get('hostPort').number(1, 65535), {
    code: 'invalid-config',
    message: 'runtimeConfig.PortMappings[1].HostPort: "x" is not a whole number from 1 to 65535',
  })
})

t.test('values of another type are refused', async t => {
  t.throws(() => json(1).text(), /key: 1 is not a string/)
  t.throws(() => json('true').flag(), /key: "true" is neither true nor false/)
  t.throws(() => json({}).list(), /key: \{\} is not a list/)
  t.throws(() => json([]).object(), /key: \[\] is not an object/)
  t.throws(() => json([]).get('a'), /key: \[\] is not an object/)
})

t.test('numbers are whole and within bounds', async t => {
  for (const good of [0, 1, 10]) t.equal(json(good).number(0, 10), good)
  for (const bad of [-1, 11, 1.5, 1e300, '1', true, Number.MAX_SAFE_INTEGER + 1]) {
    t.throws(() => json(bad).number(0, 10), /is not a whole number from 0 to 10/, String(bad))
  }
})

t.test('a document that is no object is refused as undecodable', async t => {
  for (const text of ['', ' \n', 'null', '5', '"x"', '[]', '{', '{"a":1}}', 'undefined', '{a:1}', '\u0000']) {
    t.throws(() => parseJson(text), { code: 'decode' }, JSON.stringify(text))
  }
})

t.test('a document that is nested too deep is refused, and brackets in strings do not count', async t => {
  t.throws(() => parseJson('['.repeat(4_000_000)), { code: 'decode', message: /nested deeper than 1000/ })
  t.throws(() => parseJson(`{"a":${'['.repeat(1000)}${']'.repeat(1000)}}`), { code: 'decode' })
  t.doesNotThrow(() => parseJson(`{"a":${'['.repeat(999)}${']'.repeat(999)}}`))
  t.doesNotThrow(() => parseJson(JSON.stringify({ a: '['.repeat(5000), b: '"[\\"['.repeat(5000) })))
})

t.test('a long value is cut in messages', async t => {
  t.equal(shown('x'.repeat(500)).length, 81)
  t.equal(shown('a\nb'), '"a\\nb"')
  t.equal(shown(undefined), 'nothing')
})

t.test('any text is either an object or refused as undecodable', async () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), text => {
      try {
        return typeof parseJson(text).value === 'object'
      } catch (thrown) {
        return thrown instanceof TsnetError && thrown.code === 'decode'
      }
    }),
    { numRuns: 500 },
  )
})
