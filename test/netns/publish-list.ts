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
    containers: [{ reference: 'netns:web' }],
    createdAt: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/,
    counters: { accepted: 1 },
  })
  t.match(udp, { protocol: 'udp', hostIp: '::1', hostPort: 9000, count: 2, target: { port: 90 } })
  const [head, ...rows] = (await tsnet.run('ports')).stdout.trimEnd().split('\n')
  t.match(head, /^HOST +CONTAINER +TARGET +BY +CONNECTIONS +IN +OUT +ID$/)
  t.match(rows.sort()[0], /^\*:8080\/tcp +web +80 +proxy +[01]\/1 +\d+ B +\d+ B +[0-9a-f]{16}$/)
  t.match(rows[1], /^\[::1\]:9000-9001\/udp +web +90-91 +proxy +0\/0 +0 B +0 B +[0-9a-f]{16}$/)
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
