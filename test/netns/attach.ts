/**
 * `tsnet attach` and `tsnet detach` on a real kernel: a container that exists joins a network list, of ours
 * alone, of the reference's alone, and mixed.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command, EXECUTABLE } from '../support/daemon.ts'
import { type NetworkList, type Result, readNetworkList } from '../support/libcni.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { addressOf } from '../support/plugin.ts'
import { REFERENCE } from '../support/plugins.ts'
import { ANSWERS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const CACHE = '/var/lib/cni/results'
const limits = { ingressRate: 80e6, ingressBurst: 800e3, egressRate: 80e6, egressBurst: 800e3 }
const MAC = '02:00:00:00:00:09'

/** All of it tsnet, under three names. */
const ours = (): NetworkList => {
  const { plugins, ...list } = readNetworkList('ports')
  return {
    ...list,
    name: 'ours',
    plugins: [...plugins, { type: 'tuning', mac: MAC }, { type: 'bandwidth', ...limits }],
  }
}

/** What podman has. */
const theirs: NetworkList = {
  cniVersion: '1.0.0',
  name: 'theirs',
  plugins: [
    {
      type: 'bridge',
      bridge: 'theirs0',
      isDefaultGateway: true,
      ipMasq: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: '10.99.0.0/24' }]] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
    { type: 'firewall' },
    { type: 'tuning', mac: MAC },
  ],
}

interface Stage {
  scene: Scene
  command: Command
  run(...words: string[]): Promise<string>
  refuses(message: RegExp, code: number, ...words: string[]): Promise<void>
}

async function open(t: Test, path: string, ...lists: NetworkList[]): Promise<Stage> {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  mkdirSync(scene.host.path('/etc/cni/net.d'))
  for (const list of lists) {
    writeFileSync(scene.host.path(`/etc/cni/net.d/10-${list.name}.conflist`), JSON.stringify(list))
  }
  const command = new Command(scene.host, 'iptables', { CNI_PATH: path })
  await scene.remember()
  return {
    scene,
    command,
    run: async (...words) => (await command.run(...words)).stdout,
    async refuses(message, code, ...words) {
      const { stderr, code: ended } = await command.try(...words)
      t.match(stderr, message, words.join(' '))
      t.equal(ended, code, words.join(' '))
    },
  }
}

const cached = ({ scene }: Stage): string[] => {
  try {
    return readdirSync(scene.host.path(CACHE))
  } catch {
    return []
  }
}

/** The scene's residue, without libcni's folder. */
const residue = ({ scene }: Stage, isFine: (line: string) => boolean = () => false) =>
  scene.residue(line => !isFine(line) && !LIBCNIS.test(line))
const LIBCNIS = /^file \/var\/lib\/cni\/(results|networks\/\.tsnet) appeared: folder/

for (const [list, path] of [
  [ours(), resolve('dist/drop-in')],
  [theirs, REFERENCE],
  [theirs, resolve('dist/drop-in')],
  [ours(), '/nowhere'],
] as const) {
  t.test(
    `a namespace joins the list ${list.name} with plugins in ${path}, and leaves it without a trace`,
    async t => {
      const stage = await open(t, path, list)
      const { scene, run } = stage
      const printed = await run('attach', list.name, 'netns:web', '-p', `8080:${ANSWERS}`, '--json')
      const result = JSON.parse(printed) as Result
      t.equal(result.cniVersion, '1.0.0')
      const inner = result.interfaces?.find(({ sandbox }) => sandbox === '/run/netns/web')
      t.match(inner, { name: 'eth0', mac: MAC })
      const answer = await scene.client.ask('tcp', HOST[4], 8080)
      t.equal(answer.place, 'web')
      t.equal((await scene.host.ask('tcp', addressOf(result, 4), ANSWERS)).place, 'web')

      t.strictSame(cached(stage), [`${list.name}-web-eth0`])
      const entry = JSON.parse(readFileSync(scene.host.path(`${CACHE}/${list.name}-web-eth0`), 'utf8'))
      t.match(entry, {
        kind: 'cniCacheV1',
        containerId: 'web',
        ifName: 'eth0',
        networkName: list.name,
        netns: '/run/netns/web',
        cniArgs: [
          ['IgnoreUnknown', '1'],
          ['K8S_POD_NAME', 'web'],
        ],
        capabilityArgs: { portMappings: [{ hostPort: 8080, containerPort: ANSWERS, protocol: 'tcp' }] },
        result,
      })
      t.strictSame(JSON.parse(Buffer.from(entry.config, 'base64').toString()), list)

      t.equal(await run('detach', list.name, 'netns:web'), `web eth0 ${list.name} detached\n`)
      t.strictSame(cached(stage), [])
      await t.rejects(scene.client.ask('tcp', HOST[4], 8080), { code: 'ECONNREFUSED' })
      t.strictSame(await residue(stage, line => list === theirs && ofReference(line)), [])
    },
  )
}

/** The reference leaves its bridge, its chains and folders; so do the drop-ins, for what others have put there. */
const ofReference = (line: string): boolean =>
  /theirs0|CNI-|forward|cni\/networks|run\/cni|accept_redirects|^connection/i.test(line)

t.test('a container joins several networks, each once, under names of its own', async t => {
  const other = readNetworkList('dual-stack')
  const one = { ...readNetworkList('ports'), name: 'ours' }
  const stage = await open(t, '/nowhere', one, other)
  const { run, refuses } = stage
  t.match(
    await run('attach', 'ours', 'netns:/run/netns/web'),
    /^\/run\/netns\/web eth0 ours 10\.77\.2\.\d+\/24 fd00:77:2::\w+\/64\n$/,
  )
  t.match(await run('attach', other.name, 'netns:web'), / eth1 /)
  await refuses(
    /web is on network ours already, as eth0; detach it first, or choose another name with --ifname/,
    1,
    'attach',
    'ours',
    'netns:web',
  )
  await refuses(/has an interface eth1 already/, 1, 'attach', 'ours', 'netns:web', '--ifname', 'eth1')
  const printed = await run('attach', 'ours', 'netns:web', '--ifname', 'net5', '--ip', '10.77.2.77')
  t.match(printed, / net5 ours 10\.77\.2\.77\/24 /)
  await refuses(
    /netns:web is not on network ours as eth9/,
    1,
    'detach',
    'ours',
    'netns:web',
    '--ifname',
    'eth9',
  )
  const left = JSON.parse(await run('detach', 'ours', 'netns:web', '--json'))
  t.strictSame(
    left,
    ['eth0', 'net5'].map(ifname => ({ network: 'ours', containerId: 'web', ifname })),
  )
  await refuses(/netns:web is not on network ours/, 1, 'detach', 'ours', 'netns:web')
  await run('detach', other.name, 'netns:web')
  t.strictSame(await residue(stage), [])
})

t.test('what cannot be is refused with what there is, and nothing is left', async t => {
  const broken = { ...readNetworkList('ports'), name: 'broken' }
  broken.plugins.push({ type: 'no-such-plugin' })
  const stage = await open(t, '/nowhere', ours(), readNetworkList('layer2'), broken)
  const { refuses, scene } = stage
  writeFileSync(scene.host.path('/etc/cni/net.d/99-bad.conflist'), '{')
  await scene.remember()
  await refuses(
    /there is no network "front" in \/etc\/cni\/net\.d; there are broken, layer2, ours\n.*99-bad\.conflist/s,
    2,
    'attach',
    'front',
    'netns:web',
  )
  await refuses(
    /there is no network "ours" in \/srv; there is none/,
    2,
    'attach',
    'ours',
    'netns:web',
    '--conf-dir',
    '/srv',
  )
  await refuses(/"\/run\/netns\/gone" not found/, 1, 'attach', 'ours', 'netns:gone')
  await refuses(/share.* the network of this host/, 1, 'attach', 'ours', 'netns:/proc/self/ns/net')
  await refuses(
    /network layer2 publishes no ports: .* portMappings/,
    2,
    'attach',
    'layer2',
    'netns:web',
    '-p',
    '1:1',
  )
  await refuses(/name a host port/, 2, 'attach', 'ours', 'netns:web', '-p', '80')
  await refuses(
    /--ifname: "a b" is not an interface name/,
    2,
    'attach',
    'ours',
    'netns:web',
    '--ifname',
    'a b',
  )
  await refuses(/ours: tsnet: .*192\.0\.2\.1/, 1, 'attach', 'ours', 'netns:web', '--ip', '192.0.2.1')
  await refuses(/network broken: no-such-plugin: failed to find plugin/, 1, 'attach', 'broken', 'netns:web')
  t.strictSame(cached(stage), [])
  t.strictSame(await residue(stage), [])
  const json = JSON.parse((await stage.command.try('attach', 'front', 'netns:web', '--json')).stdout)
  t.match(json, { error: { code: 'invalid-environment' } })
})

t.test('a container that is gone is detached by its name, and one that came back joins anew', async t => {
  const stage = await open(t, '/nowhere', ours())
  const { run, scene } = stage
  const again = await scene.container('again')
  await scene.remember()
  await run('attach', 'ours', 'netns:web')
  // The same name stands for another namespace now.
  await scene.host.run(
    'sh',
    '-ec',
    'umount -l "$1"; mount --bind "$2" "$1"',
    'sh',
    '/run/netns/web',
    again.path,
  )
  t.match(await run('attach', 'ours', 'netns:web'), / eth0 ours /)
  await scene.host.run('umount', '-l', '/run/netns/web')
  rmSync(scene.host.path('/run/netns/web'))
  t.equal(await run('detach', 'ours', 'netns:web'), 'netns:web eth0 ours detached\n')
  t.strictSame(cached(stage), [])
  t.strictSame(await residue(stage, line => /netns\/web/.test(line)), [])
})

t.test('with the list and the cache gone, the record is enough', async t => {
  const stage = await open(t, '/nowhere', { ...ours(), plugins: ours().plugins.slice(0, 1) })
  const { run, scene } = stage
  await run('attach', 'ours', 'netns:web', '-p', '8080:80')
  rmSync(scene.host.path(CACHE), { recursive: true })
  const list = readFileSync(scene.host.path('/etc/cni/net.d/10-ours.conflist'))
  rmSync(scene.host.path('/etc/cni/net.d/10-ours.conflist'))
  await run('detach', 'ours', 'netns:web')
  writeFileSync(scene.host.path('/etc/cni/net.d/10-ours.conflist'), list)
  t.strictSame(await residue(stage), [])
})

t.test('what a killed attach left is taken down by detach, and by the hook at poststop', async t => {
  const slow = { ...readNetworkList('ports'), name: 'slow' }
  const stage = await open(t, '/srv', { ...slow, plugins: [...slow.plugins, { type: 'tsnet-test-slow' }] })
  const { scene, run, command } = stage
  await scene.host.tmpfs('/srv')
  // Says that its turn has come, and waits for ever; has nothing to take down.
  const script = '#!/bin/sh\n[ "$CNI_COMMAND" = DEL ] && exit 0\n: >/srv/begun\nexec sleep 1000\n'
  writeFileSync(scene.host.path('/srv/tsnet-test-slow'), script, { mode: 0o755 })
  await scene.remember()
  for (const clean of [
    () => run('detach', 'slow', 'netns:web'),
    () => {
      const state = { id: 'web', status: 'stopped', annotations: { 'io.tsnet.networks': 'slow' } }
      const options = { env: { CNI_PATH: '/srv' }, stdin: JSON.stringify(state) }
      return scene.host.run(EXECUTABLE, 'oci-hook', options)
    },
  ]) {
    const attaching = scene.host.start(EXECUTABLE, 'attach', 'slow', 'netns:web', '-p', '8080:80', {
      env: { ...NO_DAEMON, CNI_PATH: '/srv', TSNET_NAT: 'iptables' },
    })
    const begun = () => existsSync(scene.host.path('/srv/begun'))
    await waitFor(begun, { what: 'the second plugin to have its turn', withinMs: 60_000 })
    t.not((await scene.differences()).length, 0)
    // By the numbers that they have on that host; some end with their parents.
    const pids = scene.host.processes().map(({ pid }) => String(pid))
    await scene.host.run('kill', '-9', ...pids, { mayFail: true })
    await attaching.finished
    await clean()
    rmSync(scene.host.path('/srv/begun'))
    t.strictSame(await residue(stage), [])
    t.match(await command.try('detach', 'slow', 'netns:web'), { code: 1 })
  }
})
