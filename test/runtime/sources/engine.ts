import t from 'tap'
import { listDockerPorts } from '../../../src/runtime/docker-ports.ts'
import { engine } from '../../../src/runtime/sources/engine.ts'
import { answering, fakeEngine } from '../../support/fake-engine.ts'
import { longId } from '../../support/runtime-files.ts'

const LIST = '/containers/json?all=1'

t.test('containers are listed by name, and not by the links of others', async t => {
  const socket = await fakeEngine(
    t,
    answering({
      [LIST]: [
        { Id: longId('aa'), Names: ['/db/web-alias', '/web'], State: 'running' },
        { Id: longId('bb'), Names: null, State: 'dead' },
      ],
    }),
  )
  t.match(await engine('docker', socket).list(), [
    { runtime: 'docker', id: longId('aa'), name: 'web' },
    { runtime: 'docker', id: longId('bb'), name: longId('bb') },
  ])
})

t.test('a container is located by its first process; 0 when it is stopped or gone', async t => {
  const [running, stopped, gone] = ['aa', 'bb', 'cc'].map(longId)
  const socket = await fakeEngine(
    t,
    answering({
      [`/containers/${running}/json`]: { State: { Pid: 812 } },
      [`/containers/${stopped}/json`]: { State: { Pid: 0 } },
    }),
  )
  const { locate } = engine('podman', socket)
  const pidOf = async (id = '') => (await locate({ runtime: 'podman', id, name: id })).pid
  t.equal(await pidOf(running), 812)
  t.equal(await pidOf(stopped), 0)
  t.equal(await pidOf(gone), 0)
})

t.test('an engine that is not there is missing', async t => {
  const nowhere = `${t.testdir()}/none.sock`
  await t.rejects(engine('docker', nowhere).list(), { code: 'missing', message: /docker does not listen on/ })
})

t.test('what an engine should not answer is its trouble, with its name', async t => {
  const cases: [what: string, answer: (path: string) => string, code: number][] = [
    ['an error', () => '{}', 500],
    ['garbage', () => '[{"Id":', 200],
    ['no list', () => '{"Id":"x"}', 200],
    ['no container', () => '[7]', 200],
    ['an id that is a path', () => '[{"Id":"../../etc","Names":[]}]', 200],
  ]
  for (const [what, answer, code] of cases) {
    await t.test(what, async t => {
      const socket = await fakeEngine(t, ({ url = '' }, response) => {
        response.statusCode = code
        response.end(answer(url))
      })
      await t.rejects(engine('docker', socket).list(), { code: 'io', message: /^docker on / })
    })
  }
})

t.test('an engine that hangs is given up', async t => {
  const hanging = await fakeEngine(t, () => {})
  await t.rejects(engine('docker', hanging, 50).list(), { code: 'io', message: /no answer .* in time/ })
})

t.test('an engine that drips for ever is given up', async t => {
  const dripping = await fakeEngine(t, (_, response) => {
    const timer = setInterval(() => response.write(' '), 5)
    response.on('close', () => clearInterval(timer))
  })
  await t.rejects(engine('docker', dripping, 50).list(), { code: 'io' })
})

t.test('what is no container in an answer has no name and no ports', async t => {
  const odd = { toString: 1, valueOf: 1 }
  const container = { Id: longId('aa'), Names: [odd, 7, '/web'], Ports: [null, odd, { PublicPort: 65_536 }] }
  const socket = await fakeEngine(
    t,
    answering({ [LIST]: [container], '/containers/json': [null, 7, container] }),
  )
  t.match(await engine('docker', socket).list(), [{ name: 'web', aliases: ['web'] }])
  t.match(await engine('docker', socket).listPorts(), [{ name: 'web' }])
  t.strictSame(await listDockerPorts(engine('docker', socket)), [])
})
