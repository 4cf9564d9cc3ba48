import t from 'tap'
import { checkContainerId, checkNetworkName, isPluginName } from '../../../src/cni/config/names.ts'

const bad = [
  '',
  '.',
  '..',
  '-x',
  '_x',
  '.tsnet',
  'a/b',
  '../x',
  'a b',
  'a;b',
  'ä',
  'a\n',
  '$(id)',
  'x'.repeat(129),
]
const good = ['a', '0', 'web-1', 'a_b.c-d', 'x'.repeat(128), 'CAPS']

t.test('a container id is letters, digits, "_", "." and "-", and not too long', async t => {
  for (const id of good) t.equal(checkContainerId(id), id)
  for (const id of bad) {
    t.throws(() => checkContainerId(id), { code: 'invalid-environment', message: /^CNI_CONTAINERID: "/ }, id)
  }
})

t.test('a network name is letters, digits, "_", "." and "-", and not too long', async t => {
  for (const name of good) t.equal(checkNetworkName(name), name)
  for (const name of bad)
    t.throws(() => checkNetworkName(name), { code: 'invalid-config', message: /^name: "/ })
  t.throws(() => checkNetworkName(undefined), { code: 'invalid-config', message: /^name: / })
})

t.test('a plugin name cannot lead out of CNI_PATH', async t => {
  for (const name of good) t.ok(isPluginName(name), name)
  for (const name of bad) t.notOk(isPluginName(name), name)
})
