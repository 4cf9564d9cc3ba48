/** What is wrong with a network list is said before a container needs it; the command tells it by its exit code too. */

import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../src/cli/cli.ts'
import { lintFile } from '../../src/networks/networks.ts'

const VERSIONS = ['0.4.0', '1.0.0', '1.1.0']

/** A folder of lists, and one of plugins that speak these versions. */
function place(lists: Record<string, unknown>, plugins: Record<string, readonly string[]>) {
  const root = mkdtempSync(join(tmpdir(), 'tsnet-lint-'))
  const [confDir, bin] = [join(root, 'net.d'), join(root, 'bin')]
  for (const folder of [confDir, bin]) mkdirSync(folder)
  for (const [name, value] of Object.entries(lists))
    writeFileSync(join(confDir, name), typeof value === 'string' ? value : JSON.stringify(value))
  for (const [name, supportedVersions] of Object.entries(plugins))
    writeFileSync(join(bin, name), `#!/bin/sh\necho '${JSON.stringify({ supportedVersions })}'\n`, {
      mode: 0o755,
    })
  return { confDir, host: { confDir, path: [bin], cache: join(root, 'cache'), env: {} } }
}

const OURS = { tsnet: VERSIONS, portmap: VERSIONS, bridge: VERSIONS }
// RFC 2544 addresses: no host that runs this has a route of its own there.
const ipam = (subnet: string) => ({ type: 'host-local', ranges: [[{ subnet }]] })
const plugin = {
  type: 'tsnet',
  bridge: 'lint0',
  ipam: ipam('198.18.0.0/24'),
  capabilities: { portMappings: true },
}
const list = { cniVersion: '1.0.0', name: 'front', plugins: [plugin] }

/** What is found in the first of some lists: level, plugin, message. */
async function findings(lists: Record<string, unknown>, plugins: Record<string, readonly string[]> = OURS) {
  const { confDir, host } = place(lists, plugins)
  const { findings } = await lintFile(join(confDir, Object.keys(lists)[0] ?? ''), host)
  return findings
    .filter(({ level }) => level !== 'note')
    .map(each => `${each.level} ${each.plugin ?? '-'} ${each.message.replaceAll(`${confDir}/`, '')}`)
}

const oneOf = (more: object) => findings({ 'a.conflist': { ...list, plugins: [{ ...plugin, ...more }] } })

t.test('with the lists that we ship nothing is wrong', async t => {
  const { host } = place({}, OURS)
  for (const file of readdirSync('conf').filter(name => name.endsWith('.conflist'))) {
    const { findings } = await lintFile(join('conf', file), host)
    t.same(
      findings.filter(({ level }) => level !== 'note'),
      [],
      file,
    )
  }
})

t.test('an unknown key is named with the nearest, in the plugin, below it and in the list', async t => {
  t.same(await oneOf({ ipMaq: true, ipam: { ...ipam('198.18.0.0/24'), routs: [] }, 'my.key': 1 }), [
    'warning 0 ipMaq is no key of a "tsnet" plugin; did you mean "ipMasq"?',
    'warning 0 ipam.routs is no key of ipam; did you mean "routes"?',
  ])
  t.same(await findings({ 'a.conflist': { ...list, disableChek: true, colour: 1 } }), [
    'warning - disableChek is no key of a network list; did you mean "disableCheck"?',
    'warning - colour is no key of a network list',
  ])
})

t.test('all wrong values are told at once, and what follows from them is not', async t => {
  t.same(
    await oneOf({
      mtu: '1500',
      isGateway: 'yes',
      ipam: ipam('198.18.0.0/33'),
      capabilities: { portMappings: 'true' },
      dns: { nameservers: [7] },
    }),
    [
      'error 0 capabilities.portMappings: "true" is neither true nor false',
      'error 0 mtu: "1500" is not a whole number from 0 to 65535',
      'error 0 isGateway: "yes" is neither true nor false',
      'error 0 ipam.ranges[0][0].subnet: "198.18.0.0/33" is not an address with a prefix length, such as 10.1.0.0/16',
    ],
  )
})

t.test('what cannot stand together is told', async t => {
  t.match(await oneOf({ hairpinMode: true, promiscMode: true }), [/^error 0 hairpinMode and promiscMode/])
  const both = { type: 'host-local', ranges: [[{ subnet: '198.18.0.0/24' }], [{ subnet: '198.18.0.0/25' }]] }
  t.match(await oneOf({ ipam: both }), [/^error 0 ipam.ranges: range set 0 overlaps with 1/])
})

t.test('a key that is there twice is told, wherever', async t => {
  const text = JSON.stringify(list).replace('"bridge":"lint0"', '"bridge":"lint1","bridge":"lint0"')
  t.same(await findings({ 'a.conflist': text }), [
    'warning - plugins[0].bridge is there twice: the last one counts',
  ])
})

t.test('a plugin that is not there is named with the nearest, and so is that of ipam', async t => {
  const other = { ...list, plugins: [{ type: 'bridg', ipam: { type: 'dhcp' } }] }
  t.match(await findings({ 'a.conflist': other }), [
    /^error 0 type: there is no plugin "bridg" in .*; did you mean "bridge"\?$/,
    /^error 0 ipam.type: there is no plugin "dhcp" in /,
  ])
  const path = { ...list, plugins: [{ type: '../bridge' }] }
  t.same(await findings({ 'a.conflist': path }), [
    'error 0 type: "../bridge" is not the file name of a plugin',
  ])
})

t.test('a version that a plugin does not speak, nobody speaks or that is missing is told', async t => {
  t.match(await findings({ 'a.conflist': list }, { tsnet: ['0.4.0'] }), [
    'error 0 cniVersion: "1.0.0" is not spoken by tsnet, which speaks 0.4.0',
  ])
  t.match(await findings({ 'a.conflist': { ...list, cniVersion: '7.0' } }), [
    /^error - cniVersion: "7.0" is no version of CNI/,
    /^error 0 cniVersion: "7.0" is not spoken by tsnet/,
  ])
  const { cniVersion: _, ...without } = list
  t.match((await findings({ 'a.conflist': without }))[0], /^warning - cniVersion is missing/)
})

t.test('a plugin that follows others is read with a result, and is refused as the first', async t => {
  const portmap = { type: 'portmap', capabilities: { portMappings: true }, snat: 'yes' }
  t.same(await findings({ 'a.conflist': { ...list, plugins: [plugin, portmap] } }), [
    'error 1 snat: "yes" is neither true nor false',
  ])
  t.match(await findings({ 'a.conflist': { ...list, plugins: [{ ...portmap, snat: true }] } }), [
    /^error 0 prevResult is missing: portmap must be called as chained plugin/,
  ])
  t.match(await findings({ 'a.conflist': { ...list, plugins: [plugin, { type: 'portmap' }] } }), [
    'warning 1 capabilities.portMappings is not declared: nothing is passed, and portmap does nothing',
  ])
})

t.test(
  'capabilities that a plugin does not know, and those that are not declared, are worth a note',
  async t => {
    const { confDir, host } = place(
      {
        'a.conflist': {
          ...list,
          plugins: [{ ...plugin, capabilities: { portMapings: true, infinibandGUID: true } }],
        },
      },
      OURS,
    )
    const { findings } = await lintFile(join(confDir, 'a.conflist'), host)
    t.match(
      findings.map(({ level, message }) => `${level} ${message}`),
      [
        'warning capabilities.portMapings is no capability; did you mean "portMappings"?',
        'note capabilities.portMapings is declared, and tsnet asks for nothing of it',
        'note capabilities.infinibandGUID is declared, and tsnet asks for nothing of it',
        /^note capabilities: .*portMappings.* not declared/,
      ],
    )
  },
)

t.test('networks of other lists that overlap, have the same bridge or the same name are told', async t => {
  const other = { ...list, name: 'other', plugins: [{ ...plugin, ipam: ipam('198.18.0.128/25') }] }
  t.same(await findings({ 'b.conflist': list, 'a.conflist': list, 'c.conflist': other }), [
    'warning - name: a.conflist is called front too; a.conflist counts',
    'warning 0 ipam: 198.18.0.0/24 overlaps with network other (198.18.0.128/25)',
    'warning 0 bridge: lint0 is the bridge of network other too',
  ])
})

t.test('a file that is no list is told as one error', async t => {
  for (const [text, message] of [
    ['{"name": ', /^error - it is not JSON/],
    ['', /^error - it is empty/],
    ['[]', /^error - .*is not an object/],
    ['{"name":"a","plugins":{}}', /^error - plugins: .* is not a list/],
    ['{"name":"a","plugins":[{}]}', /^error - plugins\[0\].type is missing/],
    ['{"name":"a","type":"bridge"}', /^error - it is the configuration of one plugin/],
  ] as const)
    t.match(await findings({ 'a.conflist': text }), [message], text)
})

t.test(
  'the command prints a line for each thing, or JSON, and ends with 1 where something is wrong',
  async t => {
    const { confDir } = place(
      {
        'a.conflist': { ...list, plugins: [{ ...plugin, ipMaq: true }] },
        'b.conf': { ...plugin, cniVersion: '1.0.0', name: 'b' },
      },
      OURS,
    )
    const before = process.env.CNI_PATH
    process.env.CNI_PATH = join(confDir, '../bin')
    t.teardown(() => {
      process.env.CNI_PATH = before
      if (before === undefined) delete process.env.CNI_PATH
    })
    const call = async (...args: string[]) => {
      const said = { out: '', error: '' }
      const terminal = {
        out: (text: string) => {
          said.out += text
        },
        error: (text: string) => {
          said.error += text
        },
        lively: false,
        livelyErrors: false,
      }
      return { code: await run(['check', '--conf-dir', confDir, ...args], terminal, 1000), ...said }
    }
    const both = await call()
    t.match(both, { code: 1, error: '' })
    t.match(both.out, `${confDir}/a.conflist: warning: plugins[0]: ipMaq is no key`)
    t.match(
      both.out,
      `${confDir}/b.conf: warning: plugins[0]: bridge: lint0 is the bridge of network front too\n`,
    )
    const json = await call('--json', join(confDir, 'a.conflist'))
    t.match(json, { code: 1, error: '' })
    t.match(JSON.parse(json.out), [{ network: 'front', findings: [{ level: 'warning', plugin: 0 }] }])
    t.match(await call(join(confDir, 'nowhere.conflist')), {
      code: 1,
      out: '',
      error: /cannot read .*nowhere/,
    })
    t.match(await call('--colour'), { code: 2, out: '' })
    const alone = place({ 'a.conflist': list }, OURS)
    const fine = await call('--conf-dir', alone.confDir)
    t.match(fine, { code: 0, out: /a.conflist: nothing is wrong\n$/ })
  },
)
