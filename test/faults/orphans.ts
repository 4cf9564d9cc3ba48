/**
 * What a killed call had started, and what that may write later: a command that waits for the lock of its tables would
 * make rules for a container that is no more, when its address has another. And rules that somebody did write too late.
 */

import t from 'tap'
import { type Host, waitFor } from 'tsnet/lab'
import { ownerTag } from '../../src/model/network.ts'
import { FakePlugin } from '../support/fake-plugin.ts'
import type { Plugin } from '../support/plugin.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const PORTS = [{ hostPort: 8080, containerPort: 80 }]
const LEGACY = { PATH: '/run/legacy:/usr/sbin:/usr/bin:/sbin:/bin' }

/** From here on the host's commands of iptables are those of the legacy variant. */
const useLegacy = (host: Host) =>
  host.run(
    'sh',
    '-ec',
    'mkdir /run/legacy; for c in iptables ip6tables; do for w in "" -save -restore; do ln -s "$(command -v $c-legacy$w)" /run/legacy/$c$w; done; done',
  )

const restorers = (host: Host): number[] =>
  host
    .processes()
    .filter(({ command }) => /tables-restore/.test(command))
    .map(({ pid }) => pid)

/** The processes of a call, all of them killed. */
async function killCalls(host: Host): Promise<void> {
  const calls = host.processes().filter(({ command }) => /^node .*tsnet/.test(command))
  for (const { pid } of calls) await host.run('kill', '-KILL', `${pid}`)
}

t.test('a command that outlives a killed ADD makes no rules after DEL', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const { host } = scene
  await useLegacy(host)
  const rules = async () =>
    (await host.run('sh', '-c', 'for c in iptables ip6tables; do /run/legacy/$c-save; done')).stdout
  const front = scene.network('front', 10)
  // So that the tables are there, and their counters are not looked at.
  await front.add(scene.get('web'), { env: LEGACY, ports: PORTS })
  await front.delete(scene.get('web'), { env: LEGACY, ports: PORTS })
  const lines = async () =>
    (await rules()).split('\n').filter(line => line.startsWith('-A') || /^:TSNET/.test(line))
  const before = await lines()

  const lock = host.start('flock', '/run/xtables.lock', 'sleep', '1000')
  await waitFor(() => host.processes().some(({ command }) => command === 'sleep 1000'), {
    what: 'the lock to be held',
  })
  const add = front.add(scene.get('web'), { env: LEGACY, ports: PORTS }).catch(() => 'killed')
  await waitFor(() => restorers(host).length > 0, { what: 'ADD to wait for the lock' })
  await killCalls(host)
  t.equal(await add, 'killed')
  const orphans = restorers(host)
  t.ok(orphans.length > 0, 'control: it waits on')
  // Whoever waits in turn would come first: this way the orphan is the last.
  for (const pid of orphans) await host.run('kill', '-STOP', `${pid}`)
  await front.delete(scene.get('web'), { env: LEGACY, ports: PORTS })
  await host.run('pkill', '-f', '^sleep 1000')
  await lock.finished
  for (const pid of orphans) await host.run('kill', '-CONT', `${pid}`, { mayFail: true })
  await waitFor(() => restorers(host).length === 0, { what: 'all commands to end', withinMs: 70_000 })
  t.strictSame(await lines(), before)
})

t.test('a plugin that outlives a killed ADD takes no address after DEL', async t => {
  const scene = await Scene.open('nftables', 'web')
  t.teardown(() => scene.close())
  const folder = t.testdir({})
  // Told to end, it would still write.
  const add = `sleep 1000; : >'${folder}/taken'`
  const plugin = new FakePlugin(folder, `case $CNI_COMMAND in ADD) ${add};; esac`)
  const config = { ipam: { type: plugin.name }, isDefaultGateway: false }
  const front = scene.network('front', 10, config)
  const env = { CNI_PATH: plugin.folder }
  const call = front.add(scene.get('web'), { env }).catch(() => 'killed')
  const plugins = () => scene.host.processes().filter(({ command }) => command.includes(plugin.name))
  await waitFor(() => plugins().length > 0, { what: 'the plugin' })
  await killCalls(scene.host)
  t.equal(await call, 'killed')
  t.equal(plugins().length, 1, 'control: it goes on')
  await front.delete(scene.get('web'), { env })
  t.strictSame(plugins(), [])
})

/** How rules are read and put back. */
const dumps = {
  iptables: ['iptables-save', "sed 's/^:FORWARD DROP/:FORWARD ACCEPT/' | iptables-restore --noflush"],
  nftables: ['nft list table inet tsnet', 'nft -f -'],
} as const

for (const [backend, [read, write]] of Object.entries(dumps)) {
  t.test(`${backend}: GC takes rules of an owner of whom nothing else is left, and no others`, async t => {
    const scene = await Scene.open(backend as 'iptables' | 'nftables', 'web', 'other')
    t.teardown(() => scene.close())
    const { host } = scene
    const front = scene.network('front', 10)
    const back = scene.network('back', 11)
    const dump = async () => (await host.run('sh', '-c', read)).stdout
    const tag = ownerTag({ network: 'front', containerId: 'web', ifname: 'eth0' })
    await front.add(scene.get('web'), { ports: PORTS })
    const stdin = await dump()
    await front.delete(scene.get('web'), { ports: PORTS })
    await host.run('sh', '-c', write, { stdin })
    const ports = [{ hostPort: 8081, containerPort: 80 }]
    const prevResult = await back.add(scene.get('other'), { ports })
    t.match(await dump(), backend === 'iptables' ? tag : '10.10.0.2', 'control: they are there')
    await front.collect([])
    t.notMatch(await dump(), backend === 'iptables' ? tag : '10.10.0.2')
    await back.check(scene.get('other'), prevResult, { ports })
    await back.delete(scene.get('other'), { ports })
    t.strictSame(await gone(back, scene), [])
  })
}

async function gone(network: Plugin, scene: Scene): Promise<string[]> {
  await network.collect([])
  return scene.residue()
}
