import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { defaults, readSettings } from '../../src/control/settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'tsnet-settings-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'tsnetd.json')

t.test('what a file does not say is as by default, and so is all of a file that is not there', async t => {
  t.same(readSettings(path), defaults)
  writeFileSync(path, '{"drainMs": 0}')
  t.same(readSettings(path), { ...defaults, drainMs: 0 })
  writeFileSync(path, '{"onDemand": false}')
  t.same(readSettings(path), { ...defaults, onDemand: false })
  writeFileSync(path, '{"redirect": "on"}')
  t.same(readSettings(path), { ...defaults, redirect: 'on' })
  t.equal(defaults.redirect, 'off')
  writeFileSync(path, '{"subnetPools": [{"base": "10.9.0.0/16", "size": 26}]}')
  t.same(readSettings(path), { ...defaults, subnetPools: [{ base: '10.9.0.0/16', size: 26 }] })
})

t.test('what is wrong in a file is named: file, key and value', async t => {
  for (const [text, code, message] of [
    ['{"workers": 0}', 'invalid-config', 'workers must be a whole number from 1 to 64, not 0'],
    ['{"tendMs": "1s"}', 'invalid-config', 'tendMs must be a whole number from 100 to 60000, not "1s"'],
    ['{"drainMs": 1.5}', 'invalid-config', 'drainMs must be a whole number from 0 to 3600000, not 1.5'],
    ['{"drainMs": null}', 'invalid-config', 'not null'],
    ['{"udpIdleMs": 10}', 'invalid-config', 'udpIdleMs must be a whole number from 1000 to 86400000, not 10'],
    ['{"onDemand": 1}', 'invalid-config', 'onDemand must be true or false, not 1'],
    ['{"redirect": true}', 'invalid-config', 'redirect must be "on" or "off", not true'],
    ['{"subnetPools": {}}', 'invalid-config', 'subnetPools must be a list such as'],
    ['{"subnetPools": [{"base": "10.9.0.1/16", "size": 24}]}', 'invalid-config', 'subnetPools must be'],
    ['{"subnetPools": [{"base": "10.9.0.0/16", "size": 15}]}', 'invalid-config', 'subnetPools must be'],
    ['{"subnetPools": [{"base": "fd00::/48", "size": 64}]}', 'invalid-config', 'subnetPools must be'],
    ['{"subnetPools": [null]}', 'invalid-config', 'subnetPools must be'],
    ['{"worker": 1}', 'invalid-config', 'there is no setting "worker"'],
    ['{"__proto__": 1}', 'invalid-config', 'there is no setting "__proto__"'],
    ['[]', 'invalid-config', 'must hold an object'],
    ['', 'decode', 'is not JSON'],
  ] as const) {
    writeFileSync(path, text)
    t.throws(() => readSettings(path), { code, message: new RegExp(`${path}.*${message}`) }, text)
  }
  t.throws(() => readSettings(folder), { code: 'io', message: new RegExp(folder) })
})
