/**
 * The control socket of a daemon: who opened it, who may connect, what is said on it. And the daemon that
 * runs with the rights of its unit, or in the background.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type Host, waitFor } from 'tsnet/lab'
import { Command, EXECUTABLE } from '../support/daemon.ts'
import { DockerProxy, flags } from '../support/docker-proxy.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'
import { UnitFile } from '../support/unit-file.ts'

const CONTROL = '/run/tsnet/control.sock'
const CALLS = '/run/tsnet/call.sock'
const DOCKER = '/run/tsnet/docker.sock'

async function open(t: Test): Promise<{ scene: Scene; tsnet: Command }> {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  return { scene, tsnet: new Command(scene.host, 'iptables') }
}

t.test('a socket that a service manager opened is answered on, handed on, and left where it is', async t => {
  const { scene, tsnet } = await open(t)
  const { host } = scene
  const words = ['-E', 'TSNET_NAT=iptables', '-l', CONTROL, EXECUTABLE, 'daemon']
  const first = host.start('systemd-socket-activate', ...words)
  await waitFor(async () => (await host.run('ss', '-xlH')).stdout.includes(CONTROL), {
    what: 'the manager to listen',
  })
  const inode = async () => (await host.run('stat', '-c', '%i', CONTROL)).stdout
  const before = await inode()
  t.notMatch(first.stdout, 'ready')
  t.same(await tsnet.ports(), [], 'who asks waits for the daemon to start')
  await tsnet.run('publish', '8080:80', 'netns:web')

  const second = await tsnet.daemon('--replace')
  t.equal((await first.finished).code, 0)
  t.equal(await inode(), before)
  t.equal((await tsnet.ports()).length, 1)
  t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web')
  t.equal((await second.stop('SIGTERM')).code, 0)
  t.equal(await inode(), before)
})

t.test('nobody who talks nonsense to the control socket is felt by others', async t => {
  const { scene, tsnet } = await open(t)
  await tsnet.daemon()
  await tsnet.run('publish', '8080:80', 'netns:web')
  const answers = async (after: string) => {
    t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'web', after)
    t.equal((await tsnet.ports()).length, 1, after)
  }
  const talk = async (say: (socket: Socket) => void, after: string) => {
    const socket = connect(scene.host.path(CONTROL))
    socket.on('error', () => {})
    const closed = new Promise(resolve => socket.once('close', resolve))
    await once(socket, 'connect')
    say(socket)
    await Promise.all([closed, answers(after)])
  }
  await talk(socket => socket.resume().write('GET / HTTP/1.1\r\n\r\n'), 'garbage')
  await talk(socket => socket.resume().write('{"id":"one","do":"ports"}\n'), 'what is not a request')
  await talk(socket => socket.resume().end('{"id":1,"do":"por'), 'half a line')
  await talk(socket => {
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    // Once the daemon has hung up, each write fails before anything else is heard.
    const more = (failure?: Error | null) => failure || socket.destroyed || socket.write(chunk, more)
    more()
  }, 'an endless line')
  await talk(socket => {
    // A short question with a long answer; after some megabytes of those nobody takes them.
    const questions = Array.from({ length: 60_000 }, (_, id) => `${JSON.stringify({ id, do: 'ports' })}\n`)
    socket.write(questions.join(''))
  }, 'one that never reads')
  const idle = connect(scene.host.path(CONTROL))
  await once(idle, 'connect')
  await answers('one that says nothing')
  idle.destroy()
})

t.test('more who are connected and ask for nothing than may be there keep nobody out', async t => {
  const { scene, tsnet } = await open(t)
  await tsnet.daemon()
  const asking = talkTo(scene.host)
  await asking.connected
  const idle = Array.from({ length: 1100 }, () => connect(scene.host.path(CONTROL)))
  t.teardown(() => {
    for (const each of idle) each.destroy()
  })
  await Promise.all(idle.map(each => once(each, 'connect')))
  let letGo = 0
  for (const each of idle) each.resume().on('close', () => letGo++)
  t.same(await tsnet.ports(), [])
  await waitFor(() => letGo > 0, { what: 'the one idle for longest to be let go' })
  t.ok(letGo < 200, `${letGo} were let go, and no more than had to be`)
  const [last] = idle.slice(-1)
  last?.write(`${JSON.stringify({ id: 1, do: 'ping' })}\n`)
  t.match(String((await once(last as Socket, 'data'))[0]), '"id":1', 'who came last is answered')
})

t.test('what is asked while a daemon follows another is done by one of them', async t => {
  const { scene, tsnet } = await open(t)
  await tsnet.daemon()
  const successor = connect(scene.host.path(CONTROL))
  successor.write(`${JSON.stringify({ id: 1, do: 'hand-over' })}\n`)
  await once(successor, 'data')
  const waiting = tsnet.run('publish', '8080:80', 'netns:web')
  const asked = scene.host.start('socat', '-t9', '-', `UNIX-CONNECT:${CONTROL}`, {
    stdin: `${JSON.stringify({ id: 1, do: 'ping' })}\n${JSON.stringify({ id: 2, do: 'ports' })}\n`,
  })
  await waitFor(() => asked.stdout.includes('"id":1'), { what: 'the daemon to answer' })
  t.notMatch(asked.stdout, '"id":2', 'what a successor would know better waits')
  successor.destroy()
  await waiting
  t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web', 'no successor came')

  const ports = ['8081', '8082', '8083']
  const [second] = await Promise.all([
    tsnet.daemon('--replace'),
    ...ports.map(port => tsnet.run('publish', `${port}:80`, 'netns:web')),
  ])
  const third = await tsnet.daemon('--replace')
  await second.finished
  for (const port of ['8080', ...ports])
    t.equal((await scene.host.ask('tcp', '127.0.0.1', Number(port))).place, 'web', port)
  t.equal((await third.stop('SIGTERM')).code, 0)
})

t.test('who came before a successor and asks after it is answered, and nobody waits for that', async t => {
  const { scene, tsnet } = await open(t)
  const { host } = scene
  await host.run('sh', '-c', `echo '{"drainMs": 300}' >/run/impatient.json`)
  const first = await tsnet.daemon()
  await tsnet.run('publish', '--mode', 'proxy', '8080:80', 'netns:web')
  const early = talkTo(host)
  await early.connected

  const second = await tsnet.daemon('--replace', '--config', '/run/impatient.json')
  t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'web', 'the port leads on')
  const alone = async () => t.match(await tsnet.try('daemon'), { code: 1, stderr: /a daemon runs already/ })
  await alone()
  t.match(await early.ask('ports'), [{ hostPort: 8080 }])
  early.end()
  t.equal((await first.finished).code, 0, 'it has nothing more to do')
  await alone()

  const silent = talkTo(host)
  await silent.connected
  const third = await tsnet.daemon('--replace')
  t.equal((await second.finished).code, 0, 'who says nothing is not waited for endlessly')
  silent.end()
  t.equal((await third.stop('SIGTERM')).code, 0)
  t.notMatch((await host.run('ls', '/run/tsnet')).stdout, 'lock', 'the lock went with the last')
})

t.test('its sockets are for root alone', async t => {
  const { scene, tsnet } = await open(t)
  const { host } = scene
  const daemon = await tsnet.daemon()
  const sockets = [CONTROL, CALLS, DOCKER]
  const modes = await host.run('stat', '-c', '%a %u %F', '/run/tsnet', ...sockets)
  t.equal(modes.stdout, `700 0 directory\n${'600 0 socket\n'.repeat(sockets.length)}`)
  const { stdout } = await host.run('ss', '-xlH')
  t.same(
    stdout.match(/\S*(?:tsnet|@)\S*/g),
    sockets.map(path => `${path}.${innerPid(scene)}`),
    'the names they were bound with, and no abstract one',
  )
  const asUser = (path: string) =>
    host.run(
      ...['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'],
      ...['socat', '-u', '/dev/null', `UNIX-CONNECT:${path}`],
      { mayFail: true },
    )
  for (const path of sockets) t.match(await asUser(path), { code: 1, stderr: /Permission denied/ }, path)
  await host.run('chmod', '711', '/run/tsnet')
  for (const path of sockets)
    t.match(await asUser(path), { code: 1, stderr: /Permission denied/ }, 'by its own mode as well')
  await host.run('chmod', '666', ...sockets)
  for (const path of sockets) t.equal((await asUser(path)).code, 0, 'nothing else was in the way')
  t.equal((await daemon.stop('SIGTERM')).code, 0)
})

for (const backend of BACKENDS) {
  t.test(`${backend}: it does its work with the rights that its unit leaves it`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    const { host } = scene
    await scene.network('front', 10).add(scene.get('web'))
    const unit = new UnitFile('conf/tsnetd.service')
    const rights = unit.setting('Service', 'CapabilityBoundingSet').replace(/ ?CAP_(\w+)/g, ',+$1')
    const daemon = host.start(
      ...['setpriv', `--bounding-set=-all${rights.toLowerCase()}`, '--no-new-privs'],
      ...[EXECUTABLE, 'daemon'],
      { env: { TSNET_NAT: backend } },
    )
    await waitFor(() => daemon.stdout.includes('ready'), { what: 'the daemon' })
    const tsnet = new Command(host, backend)
    await tsnet.run('publish', '80:80', '81:80/udp', 'web')
    await tsnet.run('publish', '82:80', '--via', 'netns', 'web')
    for (const [protocol, port] of [
      ['tcp', 80],
      ['udp', 81],
      ['tcp', 82],
    ] as const) {
      t.equal((await scene.client.ask(protocol, HOST[4], port)).place, 'web')
      t.equal((await host.ask(protocol, '::1', port)).place, 'web')
    }
    host.listen('tcp', 81, '127.0.0.2')
    const proxy = await DockerProxy.up(host, 'tsnet', flags({ to: '127.0.0.2', port: 81 }))
    t.equal((await host.ask('tcp', '127.0.0.1', 8080)).place, 'host', "dockerd's ports too")
    t.match(await proxy.stop(), { code: 0 })
    await tsnet.run('unpublish', '--all')
    t.equal((await daemon.stop('SIGTERM')).code, 0)
  })
}

t.test('a daemon that publish started lives on, and two that start at once agree', async t => {
  const { scene, tsnet } = await open(t)
  await Promise.all([
    tsnet.run('publish', '8080:80', 'netns:web'),
    tsnet.run('publish', '8081:80', 'netns:web'),
  ])
  for (const port of [8082, 8083]) await tsnet.run('publish', `${port}:80`, 'netns:web')
  t.equal((await tsnet.ports()).length, 4)
  for (const port of [8080, 8081, 8082, 8083])
    t.equal((await scene.host.ask('tcp', '127.0.0.1', port)).place, 'web')
  t.equal(daemons(scene).length, 1)
})

/** A connection to the control socket on which one question may be asked. */
function talkTo(host: Host) {
  const socket = connect(host.path(CONTROL))
  return {
    connected: once(socket, 'connect'),
    async ask(operation: string): Promise<unknown> {
      socket.write(`${JSON.stringify({ id: 1, do: operation })}\n`)
      return JSON.parse(String((await once(socket, 'data'))[0])).result
    },
    end: () => void socket.destroy(),
  }
}

const daemons = (scene: Scene) =>
  scene.host.processes().filter(({ command }) => command.includes('tsnet daemon'))

const innerPid = (scene: Scene): number | undefined => daemons(scene)[0]?.pid
