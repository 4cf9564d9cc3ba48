/** `tsnet ports` and `tsnet unpublish`: what is listed, and which words end what. */

import t from 'tap'
import { Command, withDaemon } from '../support/daemon.ts'
import { HOST, Scene } from '../support/scene.ts'

const refused = { code: 'ECONNREFUSED' }

t.test('tsnet ports lists what is published, for people and for programs', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web')
  await tsnet.run('publish', '8080:80', '[::1]:9000-9001:90-91/udp', 'netns:web')
  await scene.client.ask('tcp', HOST[4], 8080)
  const [tcp, udp] = (await tsnet.ports()).sort((a, b) => a.hostPort - b.hostPort)
  t.match(tcp, {
    id: /^[0-9a-f]{16}$/,
    protocol: 'tcp',
    hostPort: 8080,
    count: 1,
    target: { port: 80 },
    mode: 'auto',
    containers: [{ reference: 'netns:web', asked: 'netns:web' }],
    asked: '8080:80',
    source: 'publish',
    state: 'serving',
    by: ['proxy'],
    createdAt: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
    counters: { accepted: 1 },
  })
  t.match(udp, { protocol: 'udp', hostIp: '::1', hostPort: 9000, count: 2, target: { port: 90 } })
  const [head, ...rows] = (await tsnet.run('ports')).stdout.trimEnd().split('\n')
  t.match(head, /^HOST +CONTAINER +TARGET +STATE +BY +CONNECTIONS +IN +OUT +ID +WHY$/)
  t.match(rows[0], /^\*:8080\/tcp +netns:web +80 +serving +proxy +[01]\/1 +\d+ B +\d+ B +[0-9a-f]{16}$/)
  t.match(
    rows[1],
    /^\[::1\]:9000-9001\/udp +netns:web +90-91 +silent +proxy +0\/0 +0 B +0 B +[0-9a-f]{16} +nothing listens on 90-91\/udp of netns:web; it listens on 80\/tcp, 80\/udp$/,
  )
})

t.test('unpublish takes a port, an address, a whole specification, a container, an id, or all', async t => {
  const { scene, tsnet } = await withDaemon(t, 'web', 'api')
  const all = [
    '8080:80',
    '8080:80/udp',
    '127.0.0.1:8081:80',
    '8082-8083:80-81',
    '8084:80',
    '8085:80',
    '8086:80',
  ]
  await tsnet.run('publish', ...all, 'netns:web')
  await tsnet.run('publish', '9000:80', '9001:80', 'netns:api')
  const left = async () => (await tsnet.ports()).map(each => `${each.hostPort}/${each.protocol}`).sort()
  const gone = async (word: string, ...ports: string[]) => {
    const before = await left()
    await tsnet.run('unpublish', word)
    t.same(
      await left(),
      before.filter(port => !ports.includes(port)),
      word,
    )
  }
  const before = await left()
  const unknown = ['8888', '8081/udp', '127.0.0.2:8081', '8082', 'nobody', '8085:81', '0123456789abcdef']
  for (const word of unknown) {
    const { code, stderr } = await tsnet.try('unpublish', '8084', word)
    t.equal(code, 1, word)
    t.match(stderr, `nothing is published as or for "${word}"`)
  }
  t.same(await left(), before, 'nor does anything else end')
  await gone('8080', '8080/tcp')
  await gone('8080/udp', '8080/udp')
  await gone('127.0.0.1:8081', '8081/tcp')
  await gone('8082-8083', '8082/tcp')
  await gone('8084:80', '8084/tcp')
  const id = (await tsnet.ports()).find(each => each.hostPort === 8085)?.id ?? ''
  await gone(id, '8085/tcp')
  await gone('netns:api', '9000/tcp', '9001/tcp')
  t.same(await left(), ['8086/tcp'])
  await tsnet.run('unpublish', '--all')
  t.same(await left(), [])
  await t.rejects(scene.client.ask('tcp', HOST[4], 8086), refused)
})

t.test('with --json an error is a document too', async t => {
  const { tsnet } = await withDaemon(t, 'web')
  for (const [words, code, error] of [
    [['publish', '8080:80', 'netns:nobody'], 1, { message: /nobody/ }],
    [['publish', '80x', 'netns:web'], 2, { code: 'invalid-environment', message: /"80x" is not a number/ }],
    [['unpublish', '8080'], 1, { code: 'unknown-container', message: /nothing is published/ }],
  ] as const) {
    const failed = await tsnet.try(...words, '--json')
    t.equal(failed.code, code)
    t.match(JSON.parse(failed.stdout), { error })
  }
})

t.test('without a daemon, what is published is listed, and can be ended', async t => {
  const scene = await Scene.open('iptables', 'web')
  t.teardown(() => scene.close())
  const tsnet = new Command(scene.host, 'iptables')
  const daemon = await tsnet.daemon()
  await scene.network('front', 10).add(scene.get('web'))
  await tsnet.run('publish', '8080:80', 'web')
  await daemon.stop('SIGTERM')
  t.match(await tsnet.ports(), [{ hostPort: 8080 }])
  t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'web')
  await tsnet.run('unpublish', '8080')
  t.same(await tsnet.ports(), [])
  await t.rejects(scene.client.ask('tcp', HOST[4], 8080), refused)
})

t.test(
  'what was published in any words is unpublished by the same, and by others for the container',
  async t => {
    const { scene, tsnet } = await withDaemon(t, 'web')
    const web = scene.get('web')
    const keeper = web.start('sleep', '1000')
    const [, pid] = /^(\d+)/.exec((await web.run('pgrep', '-f', '^sleep 1000$')).stdout) ?? []
    const process = `pid:${pid}`
    const published: [port: string, container: string][] = [
      ['8000-8009:80', 'netns:web'],
      ['80', 'netns:/run/netns/web'],
      ['0.0.0.0:8080:80', process],
      ['127.0.0.1::80/udp', process],
      ['8090:/run/a.sock', process],
    ]
    for (const [port, container] of published) {
      await tsnet.run('publish', port, container)
      t.equal((await tsnet.ports()).length, 1, port)
      await tsnet.run('unpublish', port)
      t.same(await tsnet.ports(), [], `${port} by itself`)
      await tsnet.run('publish', port, container)
      await tsnet.run('unpublish', container)
      t.same(await tsnet.ports(), [], `${port} by ${container}`)
      await tsnet.run('publish', port, container)
      await tsnet.run('unpublish', container === process ? 'netns:web' : process)
      t.same(await tsnet.ports(), [], `${port} by another name of the container`)
    }
    await keeper.stop('SIGKILL')
  },
)

t.test('publishing what nobody listens on says so, and what is listened on', async t => {
  const { tsnet } = await withDaemon(t, 'web')
  const remarks = async (...words: string[]) => {
    const { stdout, stderr } = await tsnet.run('publish', ...words, 'netns:web')
    t.match(stdout, / -> netns:web:\d+\n$/)
    return stderr
  }
  t.equal(await remarks('8080:80'), '')
  const other = 'it listens on 80/tcp, 80/udp'
  t.equal(await remarks('8081:81'), `tsnet: nothing listens on 81/tcp of netns:web; ${other}\n`)
  t.equal(await remarks('8081:81/udp'), `tsnet: nothing listens on 81/udp of netns:web; ${other}\n`)
  t.equal(await remarks('--wait', '1m', '8082:82'), '', 'not where clients shall wait')
})
