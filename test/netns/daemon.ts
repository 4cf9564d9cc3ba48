/**
 * The daemon as a service manager and an administrator deal with it: readiness, settings and signals.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Finished, waitFor } from 'tsnet/lab'
import { openBound } from '../../src/lab/sockets.ts'
import type { Ip } from '../../src/model/address/address.ts'
import { Command } from '../support/daemon.ts'
import { Scene } from '../support/scene.ts'
import { serve } from '../support/streams.ts'

const SETTINGS = '/run/settings.json'

interface Stage {
  scene: Scene
  tsnet: Command
}

async function open(
  t: Test,
  { containers = ['web'], env = {} }: { containers?: string[]; env?: Record<string, string> } = {},
): Promise<Stage> {
  const scene = await Scene.open('iptables', ...containers)
  t.teardown(() => scene.close())
  return { scene, tsnet: new Command(scene.host, 'iptables', env) }
}

const settle = (scene: Scene, settings: unknown): void =>
  writeFileSync(scene.host.path(SETTINGS), typeof settings === 'string' ? settings : JSON.stringify(settings))

for (const [kind, address, listen] of [
  ['a path', '/run/notify.sock', 'UNIX-RECV:/run/notify.sock'],
  ['an abstract name', '@notify', 'ABSTRACT-RECV:notify'],
] as const) {
  t.test(`a service manager at ${kind} hears of the start, the successor and the end`, async t => {
    const { scene, tsnet } = await open(t, { env: { NOTIFY_SOCKET: address } })
    const manager = scene.host.start('socat', '-u', listen, 'STDOUT')
    await waitFor(async () => (await scene.host.run('ss', '-xaH')).stdout.includes(address), {
      what: 'the manager to listen',
    })
    const first = await tsnet.daemon()
    t.match(first.stdout, /^tsnet daemon ready on \/run\/tsnet\/control\.sock \(pid \d+\)\n$/, 'one line')
    const [, pid] = /pid (\d+)/.exec(first.stdout) ?? []
    const heard = (text: string) =>
      waitFor(() => manager.stdout === text, { what: JSON.stringify(text) }).then(
        () => t.pass(JSON.stringify(text)),
        () => t.equal(manager.stdout, text),
      )
    const started = `MAINPID=${pid}\nREADY=1`
    await heard(started)

    const byHand = new Command(scene.host, 'iptables')
    const second = await byHand.daemon('--replace')
    const [, successor] = /pid (\d+)/.exec(second.stdout) ?? []
    const replaced = `${started}MAINPID=${successor}MAINPID=${successor}\nREADY=1`
    await heard(replaced)
    t.equal((await first.finished).code, 0)
    t.equal((await second.stop('SIGTERM')).code, 0)
    await heard(`${replaced}STOPPING=1`)
  })
}

/** The threads of a process, of each what it may do. */
function threadsOf(pid: number): { netAdmin: boolean; confined: boolean; filtered: boolean }[] {
  const folder = `/proc/${pid}/task`
  return readdirSync(folder).map(thread => {
    const status = readFileSync(`${folder}/${thread}/status`, 'utf8')
    const field = (name: string): string => new RegExp(`^${name}:\\s*(\\w+)$`, 'm').exec(status)?.[1] ?? ''
    const capabilities = BigInt(`0x${field('CapEff')}`)
    return {
      netAdmin: (capabilities & (1n << 12n)) !== 0n,
      confined: field('NoNewPrivs') === '1',
      filtered: field('Seccomp') === '2',
    }
  })
}

t.test('the thread that moves the bytes of strangers is confined, and no other', async t => {
  const { scene, tsnet } = await open(t)
  settle(scene, { workers: 2 })
  const daemon = await tsnet.daemon('--config', SETTINGS)
  t.notOk(
    threadsOf(daemon.pid ?? 0).some(({ confined }) => confined),
    'none before there is something to serve',
  )
  await tsnet.run('publish', '--mode', 'proxy', '8080:80', 'netns:web')
  t.match(await scene.client.ask('tcp', '192.168.50.1', 8080), { place: 'web' })
  // A port is served as soon as one of the workers is ready.
  const filteredThreads = () => threadsOf(daemon.pid ?? 0).filter(({ filtered }) => filtered)
  await waitFor(() => filteredThreads().length >= 2, { what: 'both workers' })
  t.strictSame(filteredThreads(), Array(2).fill({ netAdmin: false, confined: true, filtered: true }))
  const others = threadsOf(daemon.pid ?? 0).filter(({ confined }) => !confined)
  t.ok(others.length > 0)
  t.ok(others.every(({ netAdmin, filtered }) => netAdmin && !filtered))
})

t.test('one that follows a killed one takes away what that left half written, and no other does', async t => {
  const { scene, tsnet } = await open(t)
  const left = ['ports/tcp-9.json.tmp', '0123456789abcdef.lock'].map(name =>
    scene.host.path(`/run/tsnet/${name}`),
  )
  const there = () => left.filter(path => existsSync(path))
  await tsnet.daemon().then(daemon => daemon.stop('SIGKILL'))
  const leave = () => {
    mkdirSync(scene.host.path('/run/tsnet/ports'), { recursive: true })
    for (const path of left) writeFileSync(path, '')
  }
  leave()
  const second = await tsnet.daemon()
  await waitFor(() => there().length === 0, { what: 'what was left to go' })
  t.equal((await second.stop('SIGTERM')).code, 0)
  leave()
  const third = await tsnet.daemon()
  // What is asked is answered once it has looked, if it did.
  await tsnet.ports()
  t.strictSame(there(), left, 'control: nobody was killed')
  t.equal((await third.stop('SIGTERM')).code, 0)
})

t.test('told to stop, it refuses who comes, lets transfers finish and resets what is stuck', async t => {
  const { scene, tsnet } = await open(t)
  const { host } = scene
  const drainMs = 5000
  settle(scene, { drainMs })
  const daemon = await tsnet.daemon('--config', SETTINGS)
  const half = Buffer.alloc(4 * 1024 * 1024, 'tsnet')
  await using server = await serve(socket => void socket.write(half), {
    fd: scene.get('web').inside(() => openBound('tcp', '::' as Ip, 81)),
  })
  await tsnet.run('publish', '--mode', 'proxy', '8080:81', '8081:80', 'netns:web')

  const download = (): Promise<Finished> =>
    host.run('sh', '-c', 'socat -d -u TCP:127.0.0.1:8080 - | wc -c', { mayFail: true })
  const downloads = []
  for (const count of [1, 2]) {
    downloads.push(download())
    await waitFor(() => server.sockets.length === count, { what: 'the download to begin' })
  }
  const began = performance.now()
  const stopped = daemon.stop('SIGTERM')
  await waitFor(
    () =>
      host.ask('tcp', '127.0.0.1', 8081).then(
        () => false,
        thrown => thrown.code === 'ECONNREFUSED',
      ),
    { what: 'connections to be refused' },
  )
  t.ok(performance.now() - began < drainMs, 'refused while others finish')
  server.sockets[0]?.end(half)
  const [whole, stuck] = await Promise.all(downloads)
  t.equal(whole?.stdout.trim(), `${2 * half.length}`)
  t.equal(whole?.stderr, '')
  t.match(stuck?.stderr, /Connection reset by peer/)
  t.equal((await stopped).code, 0)
  const tookMs = performance.now() - began
  t.ok(tookMs >= drainMs && tookMs < drainMs + 20_000, `${tookMs} ms`)
})

t.test('SIGHUP reads the settings again, and bad ones change nothing', async t => {
  const { scene, tsnet } = await open(t)
  settle(scene, { tendMs: 60_000 })
  const daemon = await tsnet.daemon('--config', SETTINGS)
  await tsnet.run('publish', '8080:80', 'netns:web')
  await scene.get('web').remove()
  const hangUp = async (settings: unknown, said: RegExp) => {
    settle(scene, settings)
    process.kill(daemon.pid ?? 0, 'SIGHUP')
    await waitFor(() => said.test(daemon.stderr), { what: `the log to say ${said}` })
    t.match(daemon.stderr, said)
  }
  await hangUp({ tendMs: 5 }, /settings stay as they are: \/run\/settings\.json: tendMs must be .* not 5\n/)
  await hangUp('{', /settings stay as they are: \/run\/settings\.json is not JSON/)
  t.equal((await tsnet.ports()).length, 1)
  await hangUp({ tendMs: 100 }, /settings read again from \/run\/settings\.json\n/)
  await waitFor(async () => (await tsnet.ports()).length === 0, { what: 'the container to be missed' })
  t.equal((await daemon.stop('SIGTERM')).code, 0)
})

t.test('with bad settings it does not start, and says which', async t => {
  const { scene, tsnet } = await open(t, { containers: [] })
  for (const [settings, reason] of [
    [{ workers: 0 }, /\/run\/settings\.json: workers must be a whole number from 1 to 64, not 0/],
    [{ speed: 1 }, /\/run\/settings\.json: there is no setting "speed"/],
    ['nonsense', /\/run\/settings\.json is not JSON/],
  ] as const) {
    settle(scene, settings)
    await scene.remember()
    const { code, stdout, stderr } = await tsnet.try('daemon', '--config', SETTINGS)
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr, reason)
    t.same(await scene.residue(), [])
  }
})
