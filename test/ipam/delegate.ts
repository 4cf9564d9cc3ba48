import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { execPlugin } from '../../src/ipam/exec-plugin.ts'
import { collectLeases, giveBack, ipamStatus, obtain, verifyLeases } from '../../src/ipam/ipam.ts'
import type { Delegation, IpamOptions } from '../../src/model/network.ts'
import { FakePlugin, print } from '../support/fake-plugin.ts'
import { NETWORK, owner } from '../support/leases.ts'

const web = owner('web', { netns: { path: '/run/netns/web', dev: 4, ino: 7 } })
const answer = print({ cniVersion: '1.1.0', ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }] })
const config = (cniVersion = '1.1.0') => ({
  cniVersion,
  name: NETWORK,
  type: 'tsnet',
  ipam: { type: 'fake-ipam', Pool: 7 },
  runtimeConfig: { ips: ['10.1.0.2'] },
  unknown: [1, { two: null }],
})

function delegated(t: Test, body: string, more: Partial<Delegation> = {}) {
  const plugin = new FakePlugin(t.testdir(), body)
  const options: IpamOptions = {
    kind: 'delegated',
    delegation: {
      plugin: plugin.name,
      path: ['/nonexistent', '', plugin.folder],
      args: 'IgnoreUnknown=1;K8S_POD_NAME=web',
      config: config(),
      ...more,
    },
  }
  return { plugin, options }
}

t.test(
  'ADD reaches the plugin with the configuration as it came and the environment of the spec',
  async t => {
    const { plugin, options } = delegated(t, answer)
    process.env.CNI_NETNS_OVERRIDE = '1'
    process.env.CNI_CONTAINERID = 'our own'
    const allocation = await obtain(options, web, [])
    delete process.env.CNI_NETNS_OVERRIDE
    delete process.env.CNI_CONTAINERID
    t.same(allocation, { leases: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }], routes: [] })
    t.same(plugin.calls, [
      {
        command: 'ADD',
        env: {
          CNI_CONTAINERID: 'web',
          CNI_NETNS: '/run/netns/web',
          CNI_IFNAME: 'eth0',
          CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=web',
          CNI_PATH: `/nonexistent::${plugin.folder}`,
          CNI_NETNS_OVERRIDE: '1',
        },
        stdin: config(),
      },
    ])
  },
)

t.test('DEL reaches the plugin, with an empty namespace when that is gone', async t => {
  const { plugin, options } = delegated(t, '')
  await giveBack(options, web, '/run/netns/web')
  await giveBack(options, web, undefined)
  t.same(plugin.commands, ['DEL', 'DEL'])
  t.same(
    plugin.calls.map(({ env }) => env.CNI_NETNS),
    ['/run/netns/web', ''],
  )
})

t.test('CHECK reaches the plugin with the result of ADD, and what it finds comes back', async t => {
  const { plugin, options } = delegated(t, '')
  const prevResult = { cniVersion: '1.1.0', ips: [] }
  t.same(await verifyLeases(options, web, '/run/netns/web', [], prevResult), [])
  t.same(plugin.calls[0]?.stdin, { ...config(), prevResult })
  const broken = delegated(t, `${print({ code: 100, msg: 'the lease has run out' })}; exit 1`)
  t.same(await verifyLeases(broken.options, web, '/run/netns/web', [], prevResult), [
    'ipam plugin fake-ipam: the lease has run out',
  ])
})

t.test('GC reaches the plugin with the list of attachments, and not without one', async t => {
  const { plugin, options } = delegated(t, '')
  t.same(await collectLeases(options, NETWORK, undefined), [])
  t.same(await collectLeases(options, NETWORK, [{ containerId: 'web', ifname: 'eth0' }]), [])
  t.same(plugin.commands, ['GC'])
  t.same(plugin.calls[0]?.stdin, {
    ...config(),
    'cni.dev/valid-attachments': [{ containerID: 'web', ifname: 'eth0' }],
  })
  t.equal(plugin.calls[0]?.env.CNI_CONTAINERID, undefined)
})

t.test('STATUS is what the plugin says', async t => {
  const fine = delegated(t, '')
  await ipamStatus(fine.options, NETWORK)
  t.same(fine.plugin.commands, ['STATUS'])
  const full = delegated(t, `${print({ code: 50, msg: 'no addresses', details: 'ask for more' })}; exit 1`)
  await t.rejects(ipamStatus(full.options, NETWORK), {
    code: 'delegate',
    pluginCode: 50,
    message: 'no addresses',
    details: 'ask for more',
  })
})

t.test('commands that the version of the configuration does not have are not sent', async t => {
  for (const [version, commands] of Object.entries({
    '0.2.0': [],
    '0.3.1': [],
    '0.4.0': ['CHECK'],
    '1.0.0': ['CHECK'],
    '1.1.0': ['CHECK', 'GC', 'STATUS'],
    '2.0.0': ['CHECK', 'GC', 'STATUS'],
  })) {
    const { plugin, options } = delegated(t, '', { config: config(version) })
    await verifyLeases(options, web, '', [])
    await collectLeases(options, NETWORK, [])
    await ipamStatus(options, NETWORK)
    t.same(plugin.commands, commands, version)
  }
})

t.test('when ADD fails, DEL is run before the error is passed on with its own code and words', async t => {
  const failing = `[ $CNI_COMMAND = DEL ] && exit 1\n${print({ code: 11, msg: 'try again', details: 'later' })}; exit 1`
  const { plugin, options } = delegated(t, failing)
  await t.rejects(obtain(options, web, []), {
    code: 'delegate',
    pluginCode: 11,
    message: 'try again',
    details: 'later',
  })
  t.same(plugin.commands, ['ADD', 'DEL'])
})

t.test('an answer that cannot be used is a failure, after which DEL is run', async t => {
  for (const body of ['echo ok', ':', print({ ips: [] })]) {
    const { plugin, options } = delegated(t, body)
    await t.rejects(obtain(options, web, []), { code: 'delegate' })
    t.same(plugin.commands, ['ADD', 'DEL'])
  }
})

t.test('a plugin that fails without an error object is told by what it printed, or how it ended', async t => {
  const failures: [string, string][] = [
    ['echo out of order >&2; exit 3', 'ipam: fake-ipam DEL failed: out of order'],
    ['echo out of order; exit 3', 'ipam: fake-ipam DEL failed: out of order'],
    ['exit 3', 'ipam: fake-ipam DEL failed: exit 3'],
    ['kill -9 $$', 'ipam: fake-ipam DEL failed: killed by SIGKILL'],
    [`${print({ code: 'x', msg: 7 })}; exit 1`, 'ipam: fake-ipam DEL failed: {"code":"x","msg":7}'],
  ]
  for (const [body, message] of failures) {
    await t.rejects(giveBack(delegated(t, body).options, web, undefined), { code: 'delegate', message })
  }
})

t.test('of a plugin that is missing, the nearest that there is is named', async t => {
  for (const [plugin, meant] of [
    ['host-locl', 'host-local'],
    ['fake-ipm', 'fake-ipam'],
  ] as const) {
    const { options } = delegated(t, '', { plugin })
    await t.rejects(obtain(options, web, []), { code: 'missing', details: `did you mean "${meant}"?` })
  }
})

t.test('a plugin that is nowhere in the path is missing, and a path is no name', async t => {
  const { options } = delegated(t, '', { plugin: 'other' })
  await t.rejects(obtain(options, web, []), {
    code: 'missing',
    message: /^failed to find plugin "other" in path \[\/nonexistent {2}\/.*bin\]$/,
  })
  for (const plugin of ['../bin/fake-ipam', '/bin/true', '.', '..', '', 'a\\b', 'a\0b']) {
    const { options, plugin: fake } = delegated(t, '', { plugin })
    await t.rejects(obtain(options, web, []), {
      code: 'invalid-config',
      message: /is not the file name of a plugin/,
    })
    t.same(fake.calls, [])
  }
})

t.test('folders and files that cannot be run are no plugins', async t => {
  const { plugin, options } = delegated(t, answer)
  const other = join(plugin.folder, '..', 'other')
  mkdirSync(join(other, plugin.name), { recursive: true })
  if (options.kind === 'delegated') options.delegation.path.unshift(other)
  await obtain(options, web, [])
  t.same(plugin.commands, ['ADD'])
  chmodSync(join(plugin.folder, plugin.name), 0o644)
  await t.rejects(giveBack(options, web, undefined), {
    code: 'delegate',
    message: /cannot run .*fake-ipam: .*EACCES/,
  })
})

const call = (plugin: FakePlugin, timeoutMs?: number) =>
  execPlugin({
    plugin: plugin.name,
    path: [plugin.folder],
    env: { CNI_COMMAND: 'ADD' },
    config: {},
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  })

t.test('a plugin that does not answer is ended, and its children do not keep us waiting', async t => {
  const plugin = new FakePlugin(t.testdir(), 'sleep 5')
  const began = performance.now()
  await t.rejects(call(plugin, 200), {
    code: 'delegate',
    message: 'ipam: fake-ipam ADD failed: no answer within 200 ms',
  })
  t.ok(performance.now() - began < 3000)
})

t.test('a plugin that prints without end is ended', async t => {
  await t.rejects(call(new FakePlugin(t.testdir(), 'exec yes')), {
    code: 'delegate',
    message: /^ipam: fake-ipam ADD failed: /,
  })
})

t.test('a plugin need not read its input', async t => {
  const folder = t.testdir()
  writeFileSync(join(folder, 'deaf'), '#!/bin/sh\necho fine\n', { mode: 0o755 })
  const config = { filler: 'x'.repeat(1_000_000) }
  const output = await execPlugin({ plugin: 'deaf', path: [folder], env: { CNI_COMMAND: 'ADD' }, config })
  t.equal(output, 'fine\n')
})

t.test('without an IPAM there is nothing to take, to give back or to complain about', async t => {
  const none: IpamOptions = { kind: 'none' }
  t.same(await obtain(none, web, []), { leases: [], routes: [] })
  await giveBack(none, web, undefined)
  t.same(await verifyLeases(none, web, undefined, []), [])
  t.same(await collectLeases(none, NETWORK, []), [])
  await ipamStatus(none, NETWORK)
})
