/**
 * The daemon that a CNI call starts because it publishes a port: so the port answers on 127.0.0.1 and ::1 as well.
 */

import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { Command, EXECUTABLE } from '../support/daemon.ts'
import type { CallOptions, Plugin } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f']

async function open(t: Test, backend: NatBackend = 'nftables') {
  const scene = await Scene.open(backend, ...NAMES)
  t.teardown(() => scene.close())
  await scene.host.tmpfs('/srv')
  return { scene, host: scene.host, front: scene.network('front', 10) }
}

/** As a runtime calls, of whose environment nothing is known. */
const STARTS = { TSNET_DAEMON: '' }

const ports = (hostPort: number, env: Record<string, string> = STARTS): CallOptions => ({
  ports: (['tcp', 'udp'] as const).map(protocol => ({ hostPort, containerPort: ANSWERS, protocol })),
  env,
})

const daemons = ({ host }: Scene) => host.processes().filter(each => each.command.includes('tsnet daemon'))

const log = ({ host }: Scene, name: string): string =>
  existsSync(host.path(`/srv/${name}`)) ? readFileSync(host.path(`/srv/${name}`), 'utf8') : ''

/**
 * A folder for PATH whose `node` writes down each daemon that it is to become, and what it is told.
 * @param instead what happens in place of a daemon
 */
function watched({ host }: Scene, instead = ''): Record<string, string> {
  mkdirSync(host.path('/srv/bin'))
  const script = `#!/bin/sh
case "$*" in *" daemon "*) echo "$*" >>/srv/started; ${instead} ;; esac
exec ${process.execPath} "$@"
`
  writeFileSync(host.path('/srv/bin/node'), script, { mode: 0o755 })
  return { ...STARTS, PATH: `/srv/bin:${process.env.PATH}:/usr/sbin:/sbin` }
}

async function answers(t: Test, scene: Scene, port: number, place: string): Promise<void> {
  for (const protocol of ['tcp', 'udp'] as const) {
    for (const address of ['127.0.0.1', '::1', HOST[4], HOST[6]])
      t.match(await scene.host.ask(protocol, address, port), { place }, `${protocol} ${address}`)
    for (const address of [HOST[4], HOST[6]])
      t.match(
        await scene.client.ask(protocol, address, port),
        { place },
        `${protocol} ${address} from outside`,
      )
  }
}

for (const backend of BACKENDS) {
  t.test(
    `${backend}: a port answers on loopback when its ADD has, and from outside, without any preparation`,
    async t => {
      const { scene, front } = await open(t, backend)
      await front.add(scene.get('b'), { env: STARTS })
      t.same(daemons(scene), [], 'who publishes nothing needs none')
      await front.add(scene.get('a'), ports(8080))
      await answers(t, scene, 8080, 'a')
      await front.add(scene.get('c'), ports(8081))
      await answers(t, scene, 8081, 'c')
      t.equal(daemons(scene).length, 1)
      for (const name of ['a', 'b', 'c']) await front.delete(scene.get(name))
      await t.rejects(scene.host.ask('tcp', '127.0.0.1', 8080), { code: 'ECONNREFUSED' })
    },
  )
}

t.test('a daemon that ends while it is asked to hold a port is followed by another', async t => {
  const { scene, host, front } = await open(t)
  mkdirSync(host.path('/run/tsnet'), { recursive: true })
  const asked: string[] = []
  const ending = createServer(socket =>
    socket.on('data', text => {
      asked.push(JSON.parse(String(text)).do)
      ending.close()
      socket.destroy()
    }),
  )
  await once(ending.listen(host.path('/run/tsnet/control.sock')), 'listening')
  await front.add(scene.get('a'), ports(8080))
  t.strictSame(asked, ['serve'])
  await answers(t, scene, 8080, 'a')
  await front.delete(scene.get('a'))
})

t.test('also where it still listens, and hangs up on whoever asks again', async t => {
  const { scene, host, front } = await open(t)
  mkdirSync(host.path('/run/tsnet'), { recursive: true })
  let asked = 0
  const dying = createServer(socket =>
    socket.on('data', () => {
      if (++asked === 3) dying.close()
      socket.destroy()
    }),
  )
  await once(dying.listen(host.path('/run/tsnet/control.sock')), 'listening')
  await front.add(scene.get('a'), ports(8080))
  t.equal(asked, 3)
  await answers(t, scene, 8080, 'a')
  await front.delete(scene.get('a'))
})

t.test('who publishes while a daemon lets connections finish waits for it, and has another', async t => {
  const { scene, host, front } = await open(t)
  await front.add(scene.get('a'))
  const tsnet = new Command(host, 'nftables')
  const daemon = await tsnet.daemon()
  await tsnet.run('publish', '--mode', 'proxy', `8080:${ANSWERS}`, 'a')
  const client = host.start('socat', '-u', 'TCP:127.0.0.1:8080', 'STDOUT')
  await waitFor(async () => (await tsnet.ports())[0]?.counters?.active === 1, { what: 'a connection' })
  process.kill(daemon.pid ?? 0, 'SIGTERM')
  await waitFor(() => daemon.stderr.includes('stopping'), { what: 'the daemon to end' })
  await waitFor(() => !existsSync(host.path('/run/tsnet/call.sock')), { what: 'it to hear nobody' })
  const published = host.start(EXECUTABLE, 'publish', `8081:${ANSWERS}`, 'a', { env: STARTS })
  await waitFor(() => daemons(scene).length === 2, { what: 'another daemon' })
  // One that is started by hand waits for the other no longer than that.
  const byHand = await tsnet.try('daemon')
  t.match(byHand, { code: 1, stderr: /runs already/ })
  await client.stop('SIGKILL')
  t.match(await published.finished, { code: 0 })
})

t.test('many calls at once start one daemon, and every port answers', async t => {
  const { scene, front } = await open(t)
  const env = watched(scene)
  await Promise.all(NAMES.map((name, i) => front.add(scene.get(name), ports(8080 + i, env))))
  for (const [i, name] of NAMES.entries())
    for (const address of ['127.0.0.1', '::1'])
      t.match(await scene.host.ask('tcp', address, 8080 + i), { place: name })
  t.match(log(scene, 'started'), /^[^\n]* tsnet daemon --idle 1m\n$/)
  t.equal(daemons(scene).length, 1)
})

/** ADD by hand, for what is said on stderr. */
const add = (scene: Scene, front: Plugin, name: string, { env, ports = [] }: CallOptions) =>
  scene.host.run(front.executable, {
    env: {
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: name,
      CNI_NETNS: `/run/netns/${name}`,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/nowhere',
      TSNET_NAT: scene.backend,
      ...env,
    },
    stdin: JSON.stringify({ ...front.config, runtimeConfig: { portMappings: ports } }),
  })

t.test(
  'a daemon that does not start is a warning: the call succeeds, and outside the port answers',
  async t => {
    const { scene, host, front } = await open(t)
    await host.tmpfs('/etc/tsnet')
    writeFileSync(host.path('/etc/tsnet/tsnetd.json'), '{"workers": 0}')
    const { stdout, stderr } = await add(scene, front, 'a', ports(8080))
    t.match(JSON.parse(stdout), { ips: [{}, {}] })
    t.match(
      stderr,
      /^tsnet: port 8080\/tcp, 8080\/udp does not answer on 127\.0\.0\.1 and ::1 of this host: the daemon did not start: .*workers must be.*\n$/,
    )
    t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'a' })
    t.same(daemons(scene), [])
  },
)

t.test('many calls at once make one attempt, not one after the other', async t => {
  const { scene, front } = await open(t)
  const env = watched(scene, 'sleep 3; echo "out of luck" >&2; exit 1')
  const said = await Promise.all(NAMES.map((name, i) => add(scene, front, name, ports(8080 + i, env))))
  for (const { stderr } of said) t.match(stderr, 'the daemon did not start: out of luck')
  const attempts = () => log(scene, 'started').split('\n').length - 1
  t.equal(attempts(), 1)
  await front.delete(scene.get('a'))
  await add(scene, front, 'a', ports(8080, env))
  t.equal(attempts(), 2, 'who comes later tries again')
})

t.test('it is not started where that is forbidden', async t => {
  const { scene, host, front } = await open(t)
  for (const word of ['off', 'running']) {
    await front.add(scene.get('a'), ports(8080, { TSNET_DAEMON: word }))
    t.match(await scene.client.ask('tcp', HOST[6], 8080), { place: 'a' }, word)
    await t.rejects(host.ask('tcp', '127.0.0.1', 8080), { code: 'ECONNREFUSED' }, word)
    await front.delete(scene.get('a'))
  }
  await host.tmpfs('/etc/tsnet')
  writeFileSync(host.path('/etc/tsnet/tsnetd.json'), '{"onDemand": false}')
  const { stderr } = await add(scene, front, 'a', ports(8080))
  t.equal(stderr, '')
  t.match(await scene.client.ask('tcp', HOST[4], 8080), { place: 'a' })
  t.same(daemons(scene), [])
})

/** A hierarchy of control groups by which a service manager would know what is its. */
const HIERARCHY = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup'].find(folder =>
  existsSync(`${folder}/cgroup.procs`),
)

t.test('it has nothing of the call that started it, and outlives it', async t => {
  const { scene, host } = await open(t)
  const group = `${HIERARCHY}/tsnet-test-${process.pid}`
  const call = {
    ...{ CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'a', CNI_NETNS: '/run/netns/a', CNI_IFNAME: 'eth0' },
    ...{ CNI_PATH: '/nowhere', NOTIFY_SOCKET: '/run/notify', PASSWORD: 'secret', TSNET_NAT: 'nftables' },
  }
  const config = { ...scene.network('front', 10).config, runtimeConfig: { portMappings: ports(8080).ports } }
  const script = `
    mkdir "$1"; echo $$ >"$1/cgroup.procs"
    cd /srv; : >held; exec 7<held; exec bash -c 'exec 300<held; exec "$0"' "$2"`
  await host.run('sh', '-ec', script, 'sh', group, resolve('dist/bin/tsnet'), {
    env: call,
    stdin: JSON.stringify(config),
  })
  const [daemon] = daemons(scene)
  const proc = (name: string) => host.path(`/proc/${daemon?.pid}/${name}`)
  const env = readFileSync(proc('environ'), 'utf8').split('\0')
  t.ok(env.includes('TSNET_NAT=nftables'))
  t.same(
    env.filter(each => /^(CNI_|NOTIFY|PASSWORD|LISTEN)/.test(each)),
    [],
  )
  t.equal(readlinkSync(proc('cwd')), '/')
  // What is closed while we look is not of the call that it was started by.
  const { stdout } = await host.run('ls', '-l', `/proc/${daemon?.pid}/fd`, { mayFail: true })
  t.match(stdout, /-> socket:/)
  t.notMatch(stdout, 'held')
  t.equal(readFileSync(proc('stat'), 'utf8').split(' ')[5], String(daemon?.pid), 'a session of its own')
  t.equal(readFileSync(`${group}/cgroup.procs`, 'utf8'), '', 'nobody is left in the group')
  await waitFor(() => host.run('rmdir', group), { what: 'the group to be empty' })
  t.match(await host.ask('tcp', '::1', 8080), { place: 'a' })
})

t.test('told to end, or followed by another, it ends although its ports are needed', async t => {
  const { scene, host, front } = await open(t)
  const a = scene.get('a')
  const tsnet = new Command(host, 'nftables')
  const isOver = (pid: number | undefined) => !daemons(scene).some(each => each.pid === pid)
  await front.add(a, ports(8080))
  const [first] = daemons(scene)
  await host.run('kill', '-TERM', `${first?.pid}`)
  await waitFor(() => isOver(first?.pid), { what: 'it to end when it is told to' })
  // Another that somebody needs.
  await front.add(scene.get('b'), ports(8081))
  const [second] = daemons(scene)
  const successor = await tsnet.daemon('--replace')
  await waitFor(() => isOver(second?.pid), { what: 'it to end when it is followed' })
  t.equal((await host.ask('tcp', '127.0.0.1', 8081)).place, 'b')
  await front.delete(a, ports(8080))
  await front.delete(scene.get('b'), ports(8081))
  await successor.stop('SIGTERM')
})
