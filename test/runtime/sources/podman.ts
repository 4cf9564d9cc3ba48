import t from 'tap'
import { podman } from '../../../src/runtime/sources/podman.ts'
import { fakeEngine } from '../../support/fake-engine.ts'
import { longId, ownStartTicks, writeFiles } from '../../support/runtime-files.ts'

const stored = (name: string, id: string, more: object = {}) => ({
  id,
  names: [name],
  metadata: JSON.stringify({ 'image-name': 'busybox', name, ...more }),
})

const [web, job, stopped, pod] = ['a1', 'b2', 'c3', 'd4'].map(longId) as [string, string, string, string]

/** A storage with a container that runs, one of `--rm`, a stopped one and what others keep there. */
const files = () => ({
  'storage/overlay-containers/containers.json': [
    stored('web', web),
    stored('stopped', stopped),
    stored('k8s_POD_shop', pod, { 'pod-id': pod }),
    { id: longId('e5'), names: ['busybox-working-container'], metadata: '' },
  ],
  'storage/overlay-containers/volatile-containers.json': [stored('job', job)],
  [`runc/${web}/state.json`]: { init_process_pid: process.pid, init_process_start: ownStartTicks() },
  [`crun/${job}/status`]: { pid: process.pid, 'process-start-time': ownStartTicks(), bundle: '/none' },
})

t.test('without its service, podman is read from its storage', async t => {
  const root = t.testdir()
  writeFiles(root, files())
  const source = podman(`${root}/none.sock`, `${root}/storage`, [`${root}/runc`, `${root}/crun`])
  t.same(await source.list(), [
    { runtime: 'podman', id: web, name: 'web', aliases: ['web'], pid: process.pid },
    { runtime: 'podman', id: stopped, name: 'stopped', aliases: ['stopped'], pid: 0 },
    { runtime: 'podman', id: job, name: 'job', aliases: ['job'], pid: process.pid },
  ])
})

t.test('a service that fails does not hide what is stored', async t => {
  const root = t.testdir()
  writeFiles(root, files())
  const socket = await fakeEngine(t, (_, response) => {
    response.statusCode = 500
    response.end()
  })
  const found = await podman(socket, `${root}/storage`, [`${root}/runc`]).list()
  t.same(
    found.map(each => each.name),
    ['web', 'stopped', 'job'],
  )
})

t.test('a host that never had podman has none', async t => {
  const root = t.testdir()
  await t.rejects(async () => podman(`${root}/none.sock`, `${root}/storage`, []).list(), { code: 'missing' })
})

t.test('a list that cannot be read is said', async t => {
  const root = t.testdir()
  writeFiles(root, { 'storage/vfs-containers/containers.json': '[{"id":' })
  const source = podman(`${root}/none.sock`, `${root}/storage`, [])
  await t.rejects(async () => source.list(), { code: 'io', message: /containers.json is not a list/ })
})
