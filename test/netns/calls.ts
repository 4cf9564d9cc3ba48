/**
 * CNI calls done by the daemon: to the byte what a process of their own answers, whichever launcher asks,
 * in the order of each container.
 */

import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import t from 'tap'
import { type Finished, waitFor } from 'tsnet/lab'
import { Calls, type Launcher, launchers } from '../support/calls.ts'
import { Command } from '../support/daemon.ts'
import { FakePlugin, print } from '../support/fake-plugin.ts'
import {
  addNetworkList,
  checkNetworkList,
  deleteNetworkList,
  type Execute,
  type Outcome,
} from '../support/libcni.ts'
import { BACKENDS, Scene } from '../support/scene.ts'
import { podmanList } from '../support/stock.ts'

t.setTimeout(600_000)

const ports = (hostPort: number, more: object = {}) => ({
  runtimeConfig: { portMappings: [{ hostPort, containerPort: 80, protocol: 'tcp', ...more }] },
})

/** The addresses of the bridge and of the container's end, which are new each time. */
const RANDOM = /(?<!"name": "veth\w+",\s+)"mac": "[0-9a-f:]{17}"/g

const masked = <T extends { stdout: string }>(finished: T): T => ({
  ...finished,
  stdout: finished.stdout.replace(RANDOM, '"mac": "…"'),
})

/** What a runtime may ask, in this order; `previous` is what the last ADD answered. */
async function everything(calls: Calls, plugin: FakePlugin): Promise<Finished[]> {
  const answers: Finished[] = []
  const ask = async (...call: Parameters<Calls['run']>) => {
    const finished = await calls.run(...call)
    answers.push(masked(finished))
    return finished
  }
  const delegated = {
    env: { CNI_PATH: plugin.folder, CNI_ARGS: 'FOO=bar', TSNET_TEST_WORD: 'from the caller' },
    config: { ipam: { type: plugin.name }, isDefaultGateway: false, name: 'delegated', bridge: 'br-other' },
  }
  await ask('VERSION', '')
  await ask('STATUS', '')
  await ask('ADD', 'a', { config: ports(8080) })
  await ask('ADD', 'a', { config: ports(8080) })
  await ask('ADD', 'b', { config: ports(8080) })
  const { stdout } = await ask('ADD', 'b', { config: ports(8081, { hostIP: '127.0.0.1' }) })
  const prevResult = JSON.parse(stdout)
  await ask('CHECK', 'b', { config: { ...ports(8081), prevResult } })
  await ask('CHECK', 'b', { config: { ...ports(8081), prevResult: { ...prevResult, ips: [] } } })
  await ask('CHECK', 'b')
  await ask('GC', '', { config: { 'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'eth0' }] } })
  await ask('DEL', 'a', { config: ports(8080) })
  await ask('DEL', 'b', { config: ports(8081), env: { CNI_NETNS: '' } })
  await ask('DEL', 'b')
  await ask('ADD', 'a', { config: { cniVersion: '0.3.1', dns: { nameservers: ['192.0.2.1'] } } })
  await ask('DEL', 'a', { config: { cniVersion: '0.3.1' } })
  await ask('ADD', 'a', { config: { mtu: 'large' } })
  await ask('ADD', 'a', { env: { CNI_IFNAME: '' } })
  await ask('ADD', 'a', { env: { CNI_NETNS: '/run/netns/nowhere' } })
  await ask('ADD', 'a', { env: { CNI_NETNS: '/proc/1/ns/net' } })
  await ask('ADD', 'a', { env: { TSNET_NAT: 'pf' } })
  await ask('NONSENSE', 'a')
  await ask('ADD', 'a', { config: { type: 'nobody' } })
  await ask('DEL', 'a')
  await ask('ADD', 'a', delegated)
  await ask('DEL', 'a', delegated)
  await ask('ADD', 'a', { ...delegated, env: { CNI_PATH: '/nowhere' } })
  return answers
}

const given = print({ cniVersion: '1.1.0', ips: [{ address: '10.10.0.9/16', gateway: '10.10.0.1' }] })

for (const backend of BACKENDS) {
  t.test(`${backend}: whoever does a call, and whichever launcher asks, the answer is the same`, async t => {
    const whole: Record<string, Finished[]> = {}
    const words: Record<string, string> = {}
    for (const [who, launcher] of [
      ['Node', 'program'],
      ['the daemon', 'program'],
      ['the daemon, asked by a script', 'script'],
    ] as const) {
      const scene = await Scene.open(backend, 'a', 'b')
      const folder = t.testdir({})
      const script = `case $CNI_COMMAND in ADD) echo "$TSNET_TEST_WORD in $PWD" | tee "$LOG/word" >&2; ${given};; esac`
      const plugin = new FakePlugin(folder, script)
      const calls = new Calls(scene, launcher)
      if (who !== 'Node') await calls.serve()
      whole[who] = await everything(calls, plugin)
      words[who] = readFileSync(join(folder, 'calls', 'word'), 'utf8')
      await calls.end()
      t.strictSame(await scene.residue(), [], who)
      await scene.close()
    }
    const { Node: expected = [], ...others } = whole
    t.ok(expected.filter(({ code }) => code === 0).length > 10, 'many of them succeed')
    for (const [who, answers] of Object.entries(others)) {
      for (const [i, answer] of answers.entries()) t.strictSame(answer, expected[i], `${who}: call ${i}`)
    }
    t.strictSame([...new Set(Object.values(words))], ['from the caller in /\n'])
  })
}

/** A network whose IPAM plugin waits until a file is there. */
async function patient(folder: string, launcher: Launcher) {
  const scene = await Scene.open('nftables', 'a', 'b')
  const go = join(folder, 'go')
  const wait = `while [ "$CNI_CONTAINERID" = a ] && [ ! -e '${go}' ]; do sleep 0.01; done`
  const address = '10.10.0.$(printf "%d" "\'$CNI_CONTAINERID")/16'
  const answer = `echo '{"cniVersion":"1.1.0","ips":[{"address":"'"${address}"'"}]}'`
  const plugin = new FakePlugin(folder, `case $CNI_COMMAND in ADD) ${wait}; ${answer};; DEL) ${wait};; esac`)
  const calls = new Calls(
    scene,
    launcher,
    { ipam: { type: plugin.name }, isDefaultGateway: false },
    { CNI_PATH: plugin.folder },
  )
  return { scene, plugin, calls, letGo: () => writeFileSync(go, '') }
}

for (const launcher of Object.keys(launchers) as Launcher[]) {
  t.test(`${launcher}: containers do not wait for each other, calls of one container do`, async t => {
    const { scene, plugin, calls, letGo } = await patient(t.testdir({}), launcher)
    t.teardown(() => scene.close())
    await calls.serve()
    const first = calls.start('ADD', 'a')
    await waitFor(() => plugin.calls.length === 1, { what: 'the first ADD to wait for its addresses' })
    const second = calls.start('DEL', 'a')
    t.match(await calls.run('ADD', 'b'), { code: 0 }, 'another container')
    t.match(await calls.run('DEL', 'b'), { code: 0 })
    t.match(await calls.run('VERSION', ''), { code: 0 })
    t.ok(first.pid !== undefined && second.pid !== undefined, 'both wait')
    t.equal(
      plugin.calls.filter(({ env }) => env.CNI_CONTAINERID === 'a').length,
      1,
      'the second has not begun',
    )
    letGo()
    t.match(await first.finished, { code: 0 })
    t.match(await second.finished, { code: 0 })
    await calls.end()
    t.strictSame(await scene.residue(), [])
  })
}

t.test('calls of every role in a list, and a plugin that calls ours in turn', async t => {
  const whole: Record<string, Outcome[]> = {}
  for (const who of ['Node', 'the daemon']) {
    const scene = await Scene.open('iptables', 'a')
    t.teardown(() => scene.close())
    const calls = new Calls(scene, 'program')
    if (who !== 'Node') await calls.serve()
    const answers: Outcome[] = []
    whole[who] = answers
    const folder = t.testdir({
      bin: { wrapper: `#!/bin/sh\nexec '${resolve('dist/drop-in')}/host-local'\n` },
    })
    chmodSync(join(folder, 'bin', 'wrapper'), 0o755)
    const execute: Execute = async (type, environment, stdin) => {
      const env = { ...environment, TSNET_NAT: 'iptables', CNI_PATH: `${folder}/bin` }
      const file = type === 'tsnet' ? launchers.program : `${resolve('dist/drop-in')}/${type}`
      const finished = await scene.host.run(file, { env, stdin, mayFail: true })
      answers.push(masked(finished))
      return finished
    }
    const portMappings = [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }]
    const call = { containerId: 'a', netns: '/run/netns/a', ifname: 'eth0', capabilities: { portMappings } }
    const ranges = [[{ subnet: '10.12.0.0/16' }]]
    for (const list of [
      podmanList,
      { cniVersion: '1.0.0', name: 'lo', plugins: [{ type: 'loopback' }] },
      {
        cniVersion: '1.1.0',
        name: 'nested',
        plugins: [{ type: 'tsnet', ipam: { type: 'wrapper', ranges } }],
      },
    ]) {
      // The plugin that is called in turn works in its own process.
      if (list.name === 'nested') await calls.allowNode()
      const ifname = list.name === 'lo' ? 'lo' : 'eth0'
      const result = await addNetworkList(list, { ...call, ifname }, execute)
      await checkNetworkList(list, { ...call, ifname }, result, execute)
      await deleteNetworkList(list, { ...call, ifname }, result, execute)
    }
    await calls.end()
  }
  t.equal(whole['the daemon']?.length, 18)
  t.strictSame(whole['the daemon'], whole.Node)
})

for (const backend of BACKENDS) {
  t.test(`${backend}: an address that is given on takes no ports along`, async t => {
    const scene = await Scene.open(backend, 'a', 'b')
    t.teardown(() => scene.close())
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.10.0.0/30' }]] }
    const calls = new Calls(scene, 'program', { ipam })
    // Looks for itself after a minute only.
    writeFileSync(scene.host.path('/run/settings.json'), '{"tendMs":60000}')
    await calls.serve('--config', '/run/settings.json')
    t.match(await calls.run('ADD', 'a', { config: ports(8080) }), { code: 0 })
    t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'a')
    await scene.get('a').remove()
    t.match(await calls.run('ADD', 'b'), { code: 0, stdout: /10\.10\.0\.2/ })
    t.equal((await scene.host.ask('tcp', '10.10.0.2', 80)).place, 'b')
    await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080, { withinMs: 300 }), 'nobody published this')
    t.match(await calls.run('DEL', 'b'), { code: 0 })
    t.match(await calls.run('DEL', 'a'), { code: 0 })
    await scene.host.run('rm', '/run/settings.json')
    await calls.end()
    t.strictSame(
      await scene.residue(line => !/ a |netns\/a /.test(line)),
      [],
      'but for the one that vanished',
    )
  })
}

t.test('nobody who talks nonsense to the call socket is felt by others', async t => {
  const scene = await Scene.open('nftables', 'a')
  t.teardown(() => scene.close())
  const calls = new Calls(scene, 'program')
  const daemon = await calls.serve()
  const to = 'UNIX-CONNECT:/run/tsnet/call.sock'
  const silent = scene.host.start('socat', '-u', to, 'STDOUT')
  await waitFor(() => silent.stdout === 'tsnet\n', { what: 'a connection that says nothing' })
  const talk = async (words: string) =>
    (
      await scene.host.run('sh', '-c', `printf '%b' "$1" | socat -t 5 - ${to}`, 'sh', words, {
        mayFail: true,
      })
    ).stdout
  for (const words of [
    '',
    'GET / HTTP/1.1\r\n\r\n',
    '-1\n',
    '99999999\n',
    '10000000\n{',
    '2\n{}}',
    '5\n{}',
    '\\0',
  ]) {
    t.equal(await talk(words), 'tsnet\n', JSON.stringify(words))
    t.match(await calls.run('VERSION', ''), { code: 0 })
  }
  t.match(await talk('2\n{}'), /^tsnet\n1 \d+ 0\n\{\n.*unknown CNI_COMMAND/s, 'a call without an environment')
  const outside = connect(scene.host.path('/run/tsnet/call.sock'))
  const said: Buffer[] = []
  for await (const chunk of outside) said.push(chunk)
  t.equal(Buffer.concat(said).toString(), '', 'to one of another network namespace not a word')
  t.match(await calls.run('ADD', 'a'), { code: 0 })
  t.match(await calls.run('DEL', 'a'), { code: 0 })
  t.notMatch(daemon.stderr, /Error/)
  await silent.stop('SIGKILL')
  await calls.end()
  t.strictSame(await scene.residue(), [])
})

t.test('a caller in another network namespace, or with other files, does the call itself', async t => {
  const scene = await Scene.open('nftables', 'a')
  t.teardown(() => scene.close())
  const calls = new Calls(scene, 'program')
  const daemon = await new Command(scene.host, 'nftables').daemon()
  let netns = '/run/netns/a'
  const made = async (...enter: string[]) => {
    const env = { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'a', CNI_NETNS: netns, CNI_IFNAME: 'eth0' }
    const stdin = JSON.stringify(scene.network('front', 10).config)
    const options = { env: { ...env, TSNET_NAT: 'nftables' }, stdin, mayFail: true }
    const finished = await scene.host.run(...enter, launchers.program, options)
    const folder = scene.host.path('/run/tsnet/attachments')
    const record = existsSync(folder)
      ? await scene.host.run('sh', '-c', 'cat /run/tsnet/attachments/*')
      : undefined
    await calls.run('DEL', 'a')
    return { ...finished, by: record?.stdout.includes('"caller"') ? 'the daemon' : 'itself' }
  }
  t.match(await made(), { code: 0, by: 'the daemon' })
  t.match(await made('unshare', '-m'), { code: 0, by: 'the daemon' }, 'other mounts, the same files')
  const hide = (path: string) => ['unshare', '-m', 'sh', '-ec', `mount -t tmpfs none ${path}; exec "$0"`]
  t.match(await made(...hide('/var/lib/cni')), { code: 0, by: 'itself' }, 'other leases')
  const elsewhere = ['unshare', '-n', 'sh', '-ec', 'ip link set lo up; exec "$0"']
  t.match(await made(...elsewhere), { code: 0, by: 'itself' }, 'another network')
  netns = `/run/${'x'.repeat(5000)}`
  t.match(await made('unshare', '-m'), { code: 1, stdout: /ENAMETOOLONG/ }, 'a path that cannot be followed')
  t.match(await daemon.stop('SIGTERM'), { code: 0, stderr: /^((?!is left to it).)*$/s })
})
