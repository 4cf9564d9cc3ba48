import t from 'tap'
import { listOciStates, readOciState } from '../../../src/runtime/sources/oci-state.ts'
import { longId, ownStartTicks, writeFiles } from '../../support/runtime-files.ts'

const started = ownStartTicks()

t.test('containers of runc and crun are listed with their first process', async t => {
  const root = t.testdir()
  writeFiles(root, {
    'web/state.json': { id: 'web', init_process_pid: process.pid, init_process_start: started },
    'db/status': { pid: process.pid, 'process-start-time': started, bundle: root },
    'half/state.json': '{"init_process_pid":',
    'empty/other': '',
  })
  t.same(
    listOciStates(root).sort((a, b) => a.id.localeCompare(b.id)),
    [
      { runtime: 'crun', id: 'db', name: 'db', pid: process.pid },
      { runtime: 'runc', id: 'web', name: 'web', pid: process.pid },
    ],
  )
})

t.test('a pid that was used again is not the container', async t => {
  const root = t.testdir()
  writeFiles(root, {
    'web/state.json': { init_process_pid: process.pid, init_process_start: started + 1 },
    'db/status': { pid: process.pid, 'process-start-time': started + 1 },
    'odd/state.json': { init_process_pid: 'no number' },
    'gone/state.json': { init_process_pid: 2 ** 22 + 1 },
  })
  for (const id of ['web', 'db', 'odd', 'gone']) t.equal(readOciState(root, id)?.pid, 0, id)
})

t.test('pods of CRI-O are found by what it annotates', async t => {
  const root = t.testdir()
  const [sandbox, container] = [longId('5a'), longId('c0')]
  const of = (id: string) => ({
    'io.kubernetes.cri-o.KubeName': 'shop',
    'io.kubernetes.cri-o.Namespace': 'front',
    'io.kubernetes.cri-o.SandboxID': id,
  })
  const labels = Object.entries(of(sandbox)).map(([key, value]) => `${key}=${value}`)
  writeFiles(root, {
    [`runc/${sandbox}/state.json`]: {
      init_process_pid: process.pid,
      config: { labels: ['bundle=/b', ...labels] },
    },
    [`crun/${container}/status`]: { pid: process.pid, bundle: `${root}/bundle` },
    'bundle/config.json': { annotations: of(sandbox) },
  })
  const pod = { runtime: 'cri', id: sandbox, name: 'shop', scope: 'front', pid: process.pid }
  t.same(listOciStates(`${root}/runc`)[1], pod)
  t.same(listOciStates(`${root}/crun`)[1], pod)
})

t.test('a folder that is not there holds nothing', async t => {
  t.same(listOciStates('/nowhere'), [])
})
