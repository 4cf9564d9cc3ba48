import t from 'tap'
import { parseJson } from '../../src/model/json/json.ts'
import { type Command, checkCommandIsIn, readVersion, versions } from '../../src/runtime/cni-versions.ts'

const versionOf = (cniVersion: unknown) => readVersion(parseJson(JSON.stringify({ cniVersion })))

t.test('every version from 0.1.0 to 1.1.0 is spoken', async t => {
  t.same(versions, ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'])
  for (const version of versions) t.equal(versionOf(version), version)
})

t.test('a configuration without a version is of the first one', async t => {
  for (const none of [undefined, null, '']) t.equal(versionOf(none), '0.1.0')
})

t.test('any other version is refused, with what is supported', async t => {
  for (const version of ['9.0.0', '0.3', '1.1.1', 'v1.0.0', ' 1.0.0', '1.0.0\n']) {
    t.throws(() => versionOf(version), {
      code: 'incompatible-version',
      message: 'incompatible CNI versions',
      details: /config is ".*", plugin supports \["0.1.0",.*"1.1.0"\]/s,
    })
  }
  t.throws(() => versionOf(1.1), { code: 'invalid-config' })
})

t.test('CHECK came with 0.4.0, GC and STATUS with 1.1.0', async t => {
  const first: [Command, string][] = [
    ['ADD', '0.1.0'],
    ['DEL', '0.1.0'],
    ['VERSION', '0.1.0'],
    ['CHECK', '0.4.0'],
    ['GC', '1.1.0'],
    ['STATUS', '1.1.0'],
  ]
  for (const [command, since] of first) {
    for (const version of versions) {
      const act = () => checkCommandIsIn(version, command)
      if (version >= since) t.doesNotThrow(act, `${command} in ${version}`)
      else
        t.throws(act, { code: 'incompatible-version', message: `config version does not allow ${command}` })
    }
  }
})
