/**
 * What CNI 1.1.0 asks of a plugin that delegates and only a kernel can tell; test/cni/spec.ts asks the rest. The
 * section in a name is that of the spec's text.
 */

import t from 'tap'
import { FakePlugin, print } from '../support/fake-plugin.ts'
import { addressOf } from '../support/plugin.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const open = async (...containers: string[]) => {
  const scene = await Scene.open('nftables', ...containers)
  t.teardown(() => scene.close())
  return { scene, front: scene.network('front', 10) }
}

/** A network whose addresses come from a plugin that we wrote. */
async function delegated(folder: string, answers: Record<string, string>) {
  const { scene } = await open('a')
  const cases = Object.entries(answers).map(([command, answer]) => `${command}) ${answer} ;;`)
  const plugin = new FakePlugin(folder, `case $CNI_COMMAND in ${cases.join(' ')} esac`)
  const network = scene.network('front', 10, {
    ipam: { type: plugin.name, key: 'value' },
    isDefaultGateway: false,
  })
  return { scene, network, plugin, env: { CNI_PATH: `/opt/cni/bin:${plugin.folder}`, CNI_ARGS: 'FOO=bar' } }
}

const given = print({ cniVersion: '1.1.0', ips: [{ address: '10.10.0.9/16', gateway: '10.10.0.1' }] })
const failure = (code: number, msg: string) => `${print({ cniVersion: '1.1.0', code, msg })}; exit 1`

t.test('section 4, ADD: an IPAM plugin is run with our environment and configuration', async t => {
  const { scene, network, plugin, env } = await delegated(t.testdir({}), { ADD: given })
  const result = await network.add(scene.get('a'), { env })
  t.equal(addressOf(result, 4), '10.10.0.9')
  t.match(plugin.calls, [
    {
      command: 'ADD',
      env: {
        CNI_CONTAINERID: 'a',
        CNI_IFNAME: 'eth0',
        CNI_NETNS: '/run/netns/a',
        CNI_PATH: env.CNI_PATH,
        CNI_ARGS: 'FOO=bar',
      },
      stdin: { cniVersion: '1.1.0', name: 'front', ipam: { type: plugin.name, key: 'value' } },
    },
  ])
  await network.delete(scene.get('a'), { env })
  t.strictSame(await scene.residue(), [])
})

t.test('section 4, ADD: an IPAM plugin that fails gets DEL before its error is passed on', async t => {
  const { scene, network, plugin, env } = await delegated(t.testdir({}), { ADD: failure(11, 'no lease yet') })
  await t.rejects(network.add(scene.get('a'), { env }), { code: 11, message: /no lease yet/ })
  t.same(plugin.commands, ['ADD', 'DEL'])
  t.strictSame(await scene.residue(), [])
})

t.test(
  'section 4, ADD: an ADD that fails after its IPAM plugin did not gives the addresses back',
  async t => {
    const { scene, network, plugin, env } = await delegated(t.testdir({}), { ADD: given })
    await t.rejects(network.add(scene.get('a'), { env, config: { bridge: 'lan0' } }))
    t.same(plugin.commands.at(-1), plugin.commands.length > 0 ? 'DEL' : undefined)
    t.strictSame(await scene.residue(), [])
  },
)

t.test('section 4, DEL: is passed on to the IPAM plugin even when the namespace is gone', async t => {
  const { scene, network, plugin, env } = await delegated(t.testdir({}), { ADD: given })
  await network.add(scene.get('a'), { env })
  await scene.get('a').remove()
  await network.delete('a', { env })
  t.match(plugin.calls.at(-1), { command: 'DEL', env: { CNI_CONTAINERID: 'a', CNI_IFNAME: 'eth0' } })
})

t.test('section 4, CHECK: is passed on to the IPAM plugin with prevResult', async t => {
  const { scene, network, plugin, env } = await delegated(t.testdir({}), {
    ADD: given,
    CHECK: failure(102, 'lease expired'),
  })
  const result = await network.add(scene.get('a'), { env })
  await t.rejects(network.check(scene.get('a'), result, { env }), { message: /lease expired/ })
  t.match(plugin.calls.at(-1), { command: 'CHECK', stdin: { prevResult: { cniVersion: '1.1.0' } } })
})

t.test('section 4, GC and STATUS: are passed on to the IPAM plugin', async t => {
  const { scene, network, plugin, env } = await delegated(t.testdir({}), {
    ADD: given,
    STATUS: failure(51, 'server is gone'),
  })
  await network.add(scene.get('a'), { env })
  const call = async (command: string, config: object = {}) => {
    const { stdout } = await scene.host.run(`${process.cwd()}/dist/bin/tsnet`, {
      env: { CNI_COMMAND: command, ...env },
      stdin: JSON.stringify({ ...network.config, ...config }),
      mayFail: true,
    })
    return stdout === '' ? undefined : (JSON.parse(stdout) as { code: number; msg: string })
  }
  t.match(await call('STATUS'), { code: 51, msg: /server is gone/ })
  t.equal(await call('GC', { 'cni.dev/valid-attachments': [] }), undefined)
  t.match(plugin.calls.at(-1), { command: 'GC', stdin: { 'cni.dev/valid-attachments': [] } })
})
