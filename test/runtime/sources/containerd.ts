import t from 'tap'
import { listContainerd } from '../../../src/runtime/sources/containerd.ts'
import { longId, ownStartTicks, writeFiles } from '../../support/runtime-files.ts'

const TASKS = 'state/io.containerd.runtime.v2.task'
const { pid } = process

t.test('containers are found by id in their namespace, and by the name that nerdctl gave', async t => {
  const root = t.testdir()
  const id = longId('4f')
  writeFiles(root, {
    [`${TASKS}/default/web/init.pid`]: `${pid}`,
    [`${TASKS}/default/${id}/init.pid`]: `${pid}`,
    [`${TASKS}/default/${id}/config.json`]: { annotations: { 'nerdctl/name': 'shop' } },
  })
  const found = listContainerd([`${root}/state`, '/nowhere'], `${root}/runc`)
  t.strictSame(
    found.sort((a, b) => b.name.localeCompare(a.name)),
    [
      { runtime: 'containerd', id: 'web', name: 'web', scope: 'default', pid },
      { runtime: 'containerd', id, name: 'shop', scope: 'default', pid },
    ],
  )
})

t.test('a sandbox is a pod as well', async t => {
  const root = t.testdir()
  const id = longId('5a')
  writeFiles(root, {
    [`${TASKS}/k8s.io/${id}/init.pid`]: `${pid}`,
    [`${TASKS}/k8s.io/${id}/config.json`]: {
      annotations: {
        'io.kubernetes.cri.container-type': 'sandbox',
        'io.kubernetes.cri.sandbox-id': id,
        'io.kubernetes.cri.sandbox-name': 'web-0',
        'io.kubernetes.cri.sandbox-namespace': 'shop',
      },
    },
  })
  t.same(listContainerd([`${root}/state`], `${root}/runc`)[1], {
    runtime: 'cri',
    id,
    name: 'web-0',
    scope: 'shop',
    pid,
  })
})

t.test('what a shim that was killed left behind does not run', async t => {
  const root = t.testdir()
  writeFiles(root, {
    [`${TASKS}/default/web/init.pid`]: `${pid}`,
    'runc/default/web/state.json': { init_process_pid: pid, init_process_start: ownStartTicks() - 1 },
    [`${TASKS}/default/odd/init.pid`]: '-1',
    [`${TASKS}/default/none/config.json`]: '{}',
  })
  t.same(
    listContainerd([`${root}/state`], `${root}/runc`).map(each => each.pid),
    [0, 0, 0],
  )
})
