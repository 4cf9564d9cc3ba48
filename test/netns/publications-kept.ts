/**
 * What passes ends no publication: it waits, says why, once in the log, and is served again by itself.
 */

import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import type { ListedPort } from '../../src/publish/list.ts'
import { Command, servedBy } from '../support/daemon.ts'
import { HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const ADDRESS = '10.99.0.1'
const LATE = 'fd50::99'

async function open(t: Test, ...containers: string[]): Promise<{ scene: Scene; tsnet: Command }> {
  const scene = await Scene.open('iptables', ...containers)
  t.teardown(() => scene.close())
  return { scene, tsnet: new Command(scene.host, 'iptables') }
}

/** Lowers the limit on open files of the process that it is loaded into: once, and not again in each thread that starts later. */
const SHORT = `
  if (require('node:worker_threads').isMainThread)
    require('node:child_process').execFileSync('prlimit', ['--pid', process.pid, '--nofile=120:'])`

const listed = async (tsnet: Command, ...words: string[]): Promise<ListedPort[]> =>
  JSON.parse((await tsnet.run('ports', '--json', ...words)).stdout)

const stateOf = async (tsnet: Command, port: number, ...words: string[]) =>
  (await listed(tsnet, ...words)).find(({ hostPort }) => hostPort === port) as ListedPort

/** Waits for a state of a port, and returns what is said of it then. */
async function comesTo(tsnet: Command, port: number, state: string, ...words: string[]): Promise<ListedPort> {
  await waitFor(async () => (await stateOf(tsnet, port, ...words))?.state === state, {
    what: `port ${port} to be ${state}`,
    withinMs: 30_000,
  })
  return stateOf(tsnet, port, ...words)
}

/** How often the log says something. */
const count = ({ stderr }: Running, pattern: RegExp) => [...stderr.matchAll(new RegExp(pattern, 'g'))].length

t.test(
  'a host address that is not there yet, or tentative, and a port that is busy are waited for',
  async t => {
    const { scene, tsnet } = await open(t, 'web')
    const { host } = scene
    const first = await tsnet.daemon()
    await host.run('ip', 'addr', 'add', `${ADDRESS}/32`, 'dev', 'lo')
    await host.run('ip', 'addr', 'add', `${LATE}/64`, 'dev', 'lan0', 'nodad')
    await tsnet.run('publish', `${ADDRESS}:8080:80`, `[${LATE}]:8081:80`, '8082:80', 'netns:web')
    await first.stop('SIGKILL')
    await host.run('ip', 'addr', 'del', `${ADDRESS}/32`, 'dev', 'lo')
    await host.run('ip', 'addr', 'del', `${LATE}/64`, 'dev', 'lan0')
    await host.run('sysctl', '-w', 'net.ipv6.conf.lan0.accept_dad=1', 'net.ipv6.conf.lan0.dad_transmits=1000')
    await host.run('ip', 'addr', 'add', `${LATE}/64`, 'dev', 'lan0')
    const stranger = host.start('socat', 'TCP-LISTEN:8082,fork,reuseaddr', 'SYSTEM:echo stranger')
    await waitFor(async () => (await host.run('ss', '-tln')).stdout.includes(':8082'), {
      what: 'the stranger',
    })

    const daemon = await tsnet.daemon()
    t.match(await listed(tsnet), [
      { hostPort: 8080, state: 'waiting', why: /10\.99\.0\.1.* not an address of this host/, by: [] },
      { hostPort: 8081, state: 'waiting', why: /fd50::99.* not an address of this host/, by: [] },
      { hostPort: 8082, state: 'waiting', why: /8082\/tcp is already in use by socat \(pid \d+\)/, by: [] },
    ])
    const [head, row] = (await tsnet.run('ports')).stdout.split('\n')
    t.match(head, /^HOST +CONTAINER +TARGET +STATE +BY +CONNECTIONS +IN +OUT +ID +WHY$/)
    t.match(row, /^10\.99\.0\.1:8080\/tcp +netns:web +80 +waiting +- +- +- +- +[0-9a-f]{16} +the address of /)

    await host.run('ip', 'addr', 'add', `${ADDRESS}/32`, 'dev', 'lo')
    await host.run('ip', 'addr', 'del', `${LATE}/64`, 'dev', 'lan0')
    await host.run('ip', 'addr', 'add', `${LATE}/64`, 'dev', 'lan0', 'nodad')
    await stranger.stop('SIGKILL')
    for (const [port, address] of [
      [8080, ADDRESS],
      [8081, LATE],
      [8082, '127.0.0.1'],
    ] as const) {
      t.match(await comesTo(tsnet, port, 'serving'), { by: ['proxy'], why: undefined })
      t.equal((await host.ask('tcp', address, port)).place, 'web')
      t.equal(count(daemon, new RegExp(`waiting \\S*:?${port}/tcp → netns:web: `)), 1, 'the log says it once')
      t.equal(count(daemon, new RegExp(`serving \\S*:?${port}/tcp → netns:web\n`)), 1)
    }
    const lines = daemon.stderr.trimEnd().split('\n')
    t.ok(lines.length > 0)
    for (const line of lines) t.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \w/, 'with its time')
  },
)

t.test('descriptors that are short are waited for', async t => {
  const { scene, tsnet } = await open(t, 'web')
  const { host } = scene
  const first = await tsnet.daemon()
  await tsnet.run('publish', '8080:80', '20000-20199:100-299', 'netns:web')
  await first.stop('SIGKILL')
  // Node raises its own limit when it starts.
  writeFileSync(host.path('/run/short.cjs'), SHORT)
  const daemon = await new Command(host, 'iptables', { NODE_OPTIONS: '--require /run/short.cjs' }).daemon()
  t.match(await stateOf(tsnet, 20_000), { state: 'waiting', why: /no descriptor is left/ })
  t.match(await stateOf(tsnet, 8080), { state: 'serving' })
  t.match(daemon.stderr, / waiting 20000-20199\/tcp → netns:web: /, 'a range with its end')
  const [, pid = ''] = /pid (\d+)/.exec(daemon.stdout) ?? []
  await host.run('prlimit', '--pid', pid, '--nofile=4096:')
  t.match(await comesTo(tsnet, 20_000, 'silent'), { by: ['proxy'] })
})

t.test('a firewall that fails ends nothing, when a container has moved and when it shall end', async t => {
  const { scene, tsnet } = await open(t, 'web')
  const { host, client } = scene
  // Where the legacy variant has tables, rules go by commands as they come: without, they go over nfnetlink.
  for (const command of ['iptables-legacy', 'ip6tables-legacy']) await host.run(command, '-L')
  const front = scene.network('front', 10)
  await front.add(scene.get('web'))
  const first = await tsnet.daemon()
  await tsnet.run('publish', '--mode', 'nat', '8080:80', 'netns:web')
  await tsnet.run('publish', '8081:80', 'netns:web')
  t.equal((await client.ask('tcp', HOST[4], 8080)).place, 'web')
  await first.stop('SIGKILL')
  await front.delete(scene.get('web'))
  await scene.get('web').remove()
  await front.add(await scene.container('web'))

  const iptables = (await host.run('sh', '-c', 'readlink -f "$(command -v iptables)"')).stdout.trim()
  const breakIt = () => host.run('mount', '--bind', '/bin/false', iptables)
  // Lazily: who is just being run keeps it busy.
  const mendIt = () => host.run('umount', '--lazy', iptables)
  await breakIt()
  const daemon = await tsnet.daemon()
  const waiting = await comesTo(tsnet, 8080, 'waiting')
  t.match(waiting.why, /iptables/)
  t.match(await comesTo(tsnet, 8081, 'waiting'), { by: servedBy('iptables') })
  await mendIt()
  await comesTo(tsnet, 8080, 'serving')
  await comesTo(tsnet, 8081, 'serving')
  t.equal((await client.ask('tcp', HOST[4], 8080)).place, 'web')
  t.equal((await client.ask('tcp', HOST[4], 8081)).place, 'web')
  await daemon.stop()

  // A daemon that has no iptables running yet.
  await tsnet.daemon()
  await breakIt()
  const refused = await tsnet.try('unpublish', '8080')
  t.equal(refused.code, 1)
  t.match(refused.stderr, /iptables/)
  t.match(await stateOf(tsnet, 8080), { state: 'ending' })
  await mendIt()
  await waitFor(async () => (await stateOf(tsnet, 8080)) === undefined, {
    what: 'it to end by itself',
    withinMs: 30_000,
  })
  await t.rejects(client.ask('tcp', HOST[4], 8080), { code: 'ECONNREFUSED' })
})

t.test('ports of CNI are waited for each by itself, and `ports --all` lists them', async t => {
  const { scene, tsnet } = await open(t, 'web', 'api')
  const { host } = scene
  const front = scene.network('front', 10)
  await front.add(scene.get('web'), {
    containerId: 'c'.repeat(64),
    ports: [
      { hostPort: 9000, containerPort: 80 },
      { hostPort: 9001, containerPort: 82 },
    ],
    env: { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=shop' },
  })
  const prevResult = await front.add(scene.get('api'))
  const portmap = scene.dropIn('portmap', { name: 'back', capabilities: { portMappings: true } })
  await portmap.add(scene.get('api'), { prevResult, ports: [{ hostPort: 9002, containerPort: 80 }] })
  const stranger = host.start('socat', 'TCP-LISTEN:9000,fork,reuseaddr', 'SYSTEM:echo stranger')
  await waitFor(async () => (await host.run('ss', '-tln')).stdout.includes(':9000'), { what: 'the stranger' })

  const daemon = await tsnet.daemon()
  t.same(await listed(tsnet), [])
  await comesTo(tsnet, 9000, 'waiting', '--all')
  t.match(await listed(tsnet, '--all'), [
    {
      source: 'cni',
      network: 'front',
      hostPort: 9000,
      target: { port: 80 },
      containers: [{ name: 'shop', id: 'c'.repeat(64) }],
      by: ['iptables'],
      why: /in use/,
    },
    {
      hostPort: 9001,
      state: 'silent',
      by: servedBy('iptables'),
      why: /^nothing listens on 82\/tcp of shop/,
    },
    { source: 'portmap', network: 'back', hostPort: 9002, state: 'serving', containers: [{ name: 'api' }] },
  ])
  const [head, row] = (await tsnet.run('ports', '--all')).stdout.split('\n')
  t.match(head, /^HOST +CONTAINER +TARGET +OF +STATE +BY /)
  t.match(row, /^\*:9000\/tcp +shop +80 +cni:front +waiting +iptables /)
  t.equal(count(daemon, / waiting 9000\/tcp → shop: /), 1)
  await stranger.stop('SIGKILL')
  t.match(await comesTo(tsnet, 9000, 'serving', '--all'), { by: servedBy('iptables') })
  t.equal((await host.ask('tcp', '127.0.0.1', 9000)).place, 'web')
  t.equal(count(daemon, / serving 9000\/tcp → shop\n/), 1)
})
