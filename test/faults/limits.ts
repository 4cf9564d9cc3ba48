/**
 * Calls for which there is not enough of something: files, processes. A runtime hears which limit it is, as JSON, also
 * where Node cannot be started to say so; and nothing is changed.
 */

import { existsSync } from 'node:fs'
import t from 'tap'
import type { Finished, Host } from 'tsnet/lab'
import { Calls, launchers } from '../support/calls.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

/** Where groups of processes are limited, in either version. */
const PIDS = existsSync('/sys/fs/cgroup/pids') ? '/sys/fs/cgroup/pids' : '/sys/fs/cgroup'
const PORTS = { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } }

/** ADD after some words of the shell. */
async function add(scene: Scene, before: string): Promise<Finished> {
  const { config } = scene.network('front', 10)
  return scene.host.run('sh', '-c', `${before}; exec "$0"`, launchers.program, {
    mayFail: true,
    stdin: JSON.stringify({ ...config, ...PORTS }),
    env: {
      ...NO_DAEMON,
      TSNET_NAT: scene.backend,
      CNI_COMMAND: 'ADD',
      CNI_CONTAINERID: 'a',
      CNI_NETNS: '/run/netns/a',
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/nowhere',
    },
  })
}

t.test('with few files that may be open ADD succeeds or says so, and changes nothing', async t => {
  const scene = await Scene.open('iptables', 'a')
  t.teardown(() => scene.close())
  for (const files of [4, 5, 6, 8, 12, 16, 20, 24, 28, 30, 36, 44, 52]) {
    const { code, stdout } = await add(scene, `ulimit -n ${files}`)
    if (code === 0) {
      t.match(await new Calls(scene, 'program').run('DEL', 'a', { config: PORTS }), { code: 0 })
      t.ok(files > 50, `${files} are enough`)
    } else {
      t.match({ files, code, error: JSON.parse(stdout) }, { code: 1, error: { code: 11 } })
      t.match(stdout, /ulimit -n/, stdout)
    }
    t.strictSame(await scene.residue(), [], `${files} files`)
  }
  const enough = await add(scene, 'ulimit -n 64')
  t.equal(enough.code, 0, `control: ${enough.stdout}`)
})

t.test('with few processes that there may be ADD says so, and changes nothing', async t => {
  const scene = await Scene.open('iptables', 'a')
  t.teardown(() => scene.close())
  const group = `${PIDS}/tsnet-test-${process.pid}`
  await scene.host.run('mkdir', group)
  t.teardown(() => emptied(scene.host, group))
  for (const most of [1, 4, 8, 15]) {
    const { code, stdout } = await add(
      scene,
      `echo ${most} >${group}/pids.max; echo $$ >${group}/cgroup.procs`,
    )
    t.match({ most, code, error: JSON.parse(stdout) }, { code: 1, error: { code: 11, msg: /pids\.max/ } })
    t.strictSame(await scene.residue(), [], `${most} processes`)
  }
  const enough = await add(scene, `echo 40 >${group}/pids.max; echo $$ >${group}/cgroup.procs`)
  t.equal(enough.code, 0, `control: ${enough.stdout}`)
})

async function emptied(host: Host, group: string): Promise<void> {
  await host.run('rmdir', group)
}

t.test('where there is no Node a runtime hears so', async t => {
  const scene = await Scene.open('iptables', 'a')
  t.teardown(() => scene.close())
  const { code, stdout } = await add(scene, 'PATH=/nowhere')
  t.match(
    { code, error: JSON.parse(stdout) },
    { code: 1, error: { code: 999, msg: /node cannot be started: No such file/ } },
  )
})
