/** `tsnet events`: what happens on a host, whoever does it, as it happens. */

import t from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import type { Happening } from '../../src/observe/happening.ts'
import { Command, EXECUTABLE, withDaemon } from '../support/daemon.ts'
import { HOST, Scene } from '../support/scene.ts'

type Line = { event: string } & Happening

const linesOf = ({ stdout }: Running): Line[] =>
  stdout
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as Line)

t.test('all that happens is told, one object a line, and a successor goes on telling', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web', 'api')
  const { host, client } = scene
  const [web, api] = [scene.get('web'), scene.get('api')]
  const all = host.start(EXECUTABLE, 'events', '--json')
  const forPeople = host.start(EXECUTABLE, 'events', '--filter', 'container=web', '--filter', 'event=attach')
  const heard = async (event: string, test: (line: Line) => boolean = () => true) => {
    const found = () => linesOf(all).find(line => line.event === event && test(line))
    await waitFor(() => found() !== undefined, { what: `${event} among ${all.stdout} ${all.stderr}` })
    t.pass(event)
    return found() as Line
  }
  const isOf =
    (name: string) =>
    ({ containers = [] }: Line) =>
      containers.some(each => each.name === name)
  // Until both listen.
  const front = scene.network('front', 10)
  const listen = async () => {
    await front.add(web, { containerId: 'web', ports: [{ hostPort: 9000, containerPort: 80 }] })
    await front.delete(web, { containerId: 'web' })
    return [all, forPeople].every(({ stdout }) => stdout.includes('attach'))
  }
  await waitFor(listen, { what: 'both to listen' })

  const attached = await heard('attach', isOf('web'))
  t.match(attached, {
    time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
    id: /^[0-9a-f]{16}$/,
    network: 'front',
    ifname: 'eth0',
    addresses: [/^10\.10\./, /^fd10:/],
    ports: ['9000/tcp'],
  })
  t.match(forPeople.stdout, /^\S+Z attach +web \(front eth0\) 10\.10\.\d+\.\d+, fd10::\w+; 9000\/tcp\n/)
  await heard('detach', isOf('web'))
  // Without the daemon.
  await front.add(api, { env: { TSNET_DAEMON: 'off' } })
  await heard('attach', isOf('api'))
  await front.add(web)

  await tsnet.run('publish', '--mode', 'proxy', '--deny', '127.0.0.1/32', '8080:80', 'netns:web')
  await heard('publish', ({ hostPort, ports }) => hostPort === 8080 && ports?.[0] === '8080/tcp')
  await tsnet.run('publish', '--replace', '--mode', 'proxy', '--deny', '127.0.0.1/32', '8080:80', 'netns:api')
  t.match(await heard('moved'), { containers: [{ name: 'netns:api' }], from: [{ name: 'netns:web' }] })
  await t.rejects(host.ask('tcp', '127.0.0.1', 8080))
  t.match(await heard('refused'), { hostPort: 8080, number: 1, why: 'source not allowed' })
  await tsnet.run('publish', '--mode', 'proxy', '--max-connections', '1', '8081:80', 'netns:web')
  const [held] = [client.start('socat', '-u', `TCP:${HOST[4]}:8081`, 'STDOUT')]
  await waitFor(async () => (await tsnet.ports()).some(each => each.counters?.active === 1), {
    what: 'one to be connected',
  })
  await client.ask('tcp', HOST[4], 8081).catch(() => {})
  t.match(await heard('refused', ({ hostPort }) => hostPort === 8081), { number: 1, why: 'limit reached' })
  await held?.stop('SIGKILL')
  await tsnet.run('publish', '--udp-sessions', '1', '8082:80/udp', 'netns:web')
  for (const fromPort of [6001, 6002]) await host.ask('udp', '127.0.0.1', 8082, { fromPort })
  t.match(await heard('evicted'), { hostPort: 8082, number: 1 })

  await host.run('ip', 'link', 'set', 'dev', 'br-front', 'down')
  t.match(await heard('reconciled'), { subject: 'bridge br-front', outcome: 'restored', what: [/./] })

  const successor = await tsnet.daemon('--replace')
  const [, pid] = /\(pid (\d+)\)/.exec(successor.stdout) ?? []
  t.match(await heard('hand-over'), { pid: Number(pid) })
  const follow = async () => {
    await tsnet.run('publish', '--mode', 'proxy', '8090:80', 'netns:web')
    await tsnet.run('unpublish', '8090')
    return linesOf(all).some(({ event, hostPort }) => event === 'unpublish' && hostPort === 8090)
  }
  await waitFor(follow, { what: 'the successor to be listened to' })
  t.match(await heard('unpublish'), { hostPort: 8090, why: 'unpublished' })

  await successor.stop('SIGTERM')
  const { code, stdout } = await all.finished
  t.equal(code, 1)
  t.match(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''), {
    error: { code: 'io', message: /^the daemon has ended: no daemon runs here/ },
  })
  t.match(await forPeople.finished, { code: 1, stderr: /^tsnet: the daemon has ended: no daemon runs here/ })
})

t.test('a filter that is none is refused, and so is to listen where no daemon runs', async t => {
  const scene = await Scene.open('iptables')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables')
  for (const [filter, message] of [
    ['evnt=attach', /--filter: "evnt=attach" is none of event=…, .*did you mean "event"/s],
    ['event=atach', /--filter: event is none of attach, .*: "atach".*did you mean "attach"/s],
    ['port=http', /--filter: port is no port: "http"/],
  ] as const) {
    const { code, stderr } = await tsnet.try('events', '--filter', filter)
    t.equal(code, 2, filter)
    t.match(stderr, message)
  }
  t.match(await tsnet.try('events'), { code: 1, stderr: /no daemon runs here.*\nstart one: tsnet daemon/s })
})

t.test('ports are printed again when something of them changes, and not before', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  const watching = scene.host.start(EXECUTABLE, 'ports', '--watch', '--json')
  const frames = () =>
    watching.stdout
      .split('\n')
      .slice(0, -1)
      .map(line => (JSON.parse(line) as { hostPort: number }[]).map(({ hostPort }) => hostPort))
  const shows = (expected: number[]) =>
    waitFor(() => frames().at(-1)?.join() === expected.join(), { what: `${expected} in ${watching.stdout}` })
  await waitFor(() => frames().length > 0, { what: 'the first' })
  t.same(frames(), [[]])
  await tsnet.run('publish', '8080:80', 'netns:web')
  await shows([8080])
  await tsnet.run('publish', '8081:80', 'netns:web')
  await shows([8080, 8081])
  await tsnet.run('unpublish', '--all')
  await shows([])
  t.ok(frames().length <= 6, `${frames().length} for three changes of four ports`)
  await watching.stop('SIGINT')
})
