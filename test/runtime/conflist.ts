import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { findNetworkList } from '../../src/runtime/conflist.ts'

function folder(files: Record<string, unknown>): string {
  const path = mkdtempSync(join(tmpdir(), 'tsnet-conf-'))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(path, name, '..'), { recursive: true })
    writeFileSync(join(path, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return path
}

const plugin = { type: 'tsnet', bridge: 'br0', capabilities: { portMappings: true, mac: false } }
const list = { cniVersion: '1.0.0', name: 'front', plugins: [plugin] }

t.test('a list is found by its name, the first of several files', async t => {
  const path = folder({
    '20-front.conflist': { ...list, cniVersion: '0.4.0' },
    '10-other.conflist': { ...list, name: 'other' },
    '10-front.conflist': list,
    '05-front.conf': { name: 'front', type: 'bridge' },
    'readme.txt': 'front',
  })
  t.strictSame(findNetworkList('front', path), {
    name: 'front',
    cniVersion: '1.0.0',
    plugins: [{ type: 'tsnet', capabilities: ['portMappings'], config: plugin }],
    text: JSON.stringify(list),
  })
})

t.test('a single configuration is a list of one', async t => {
  const single = { cniVersion: '0.4.0', name: 'back', type: 'bridge', ipam: {} }
  const found = findNetworkList('back', folder({ 'a.conf': single, 'b.json': { ...single, name: 'x' } }))
  t.match(found, { cniVersion: '0.4.0', plugins: [{ type: 'bridge', config: single }] })
  t.strictSame(JSON.parse(found.text), { cniVersion: '0.4.0', name: 'back', plugins: [single] })
})

t.test('plugins in files beside a list belong to it, in the order of their names', async t => {
  const files = {
    'a.conflist': list,
    'front/20-tuning.conf': { type: 'tuning' },
    'front/10-portmap.conf': { type: 'portmap' },
    'front/readme': 'x',
  }
  const found = findNetworkList('front', folder(files))
  const types = ['tsnet', 'portmap', 'tuning']
  t.strictSame(
    found.plugins.map(({ type }) => type),
    types,
  )
  t.strictSame(
    JSON.parse(found.text).plugins.map(({ type }: { type: string }) => type),
    types,
    'what is written down has all of them',
  )
  const inlined = { ...list, loadOnlyInlinedPlugins: true }
  t.equal(findNetworkList('front', folder({ ...files, 'a.conflist': inlined })).plugins.length, 1)
})

t.test('of several versions the highest that we speak counts', async t => {
  const version = (more: object) =>
    findNetworkList('front', folder({ 'a.conflist': { ...list, ...more } })).cniVersion
  t.equal(version({ cniVersions: ['0.4.0', '1.1.0', '9.0.0', '1.0.0'] }), '1.1.0')
  t.equal(version({ cniVersion: '1.1.0', cniVersions: ['0.4.0'] }), '1.1.0')
  t.equal(version({ cniVersion: undefined }), '0.1.0')
  t.equal(version({ cniVersion: '9.0.0' }), '9.0.0', 'which the plugins refuse')
})

t.test(
  'a network that is not there is told with those that are, and the files that nobody understands',
  async t => {
    const path = folder({
      'a.conflist': list,
      'b.conflist': '{',
      'c.conflist': { name: 'empty', plugins: [] },
    })
    t.throws(() => findNetworkList('back', path), {
      code: 'invalid-environment',
      message: /^there is no network "back" in .*; there are front$/,
      details: /b\.conflist: it is not JSON.*c\.conflist: the list has no plugins/s,
    })
    t.throws(() => findNetworkList('back', '/nowhere'), { message: /there is none$/ })
  },
)

t.test(
  'a list and a single configuration under each other’s file name are refused, as runtimes do',
  async t => {
    const single = { cniVersion: '0.4.0', name: 'back', type: 'bridge' }
    const path = folder({ 'a.conflist': single, 'b.conf': { ...list, name: 'other' } })
    t.throws(() => findNetworkList('back', path), {
      code: 'invalid-environment',
      details:
        /a\.conflist: it is the configuration of one plugin.*b\.conf: it is a list of plugins: call the file \*\.conflist/,
    })
  },
)
