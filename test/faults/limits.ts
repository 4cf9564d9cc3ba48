/**
 * Calls for which there is not enough of something: files, processes. A runtime hears which limit it is, as JSON, also
 * where Node cannot be started to say so; and nothing is changed.
 */

import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
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
async function add(scene: Scene, before: string, launcher = launchers.program): Promise<Finished> {
  const { config } = scene.network('front', 10)
  return scene.host.run('sh', '-c', `${before}; exec "$0"`, launcher, {
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

t.test('so does the launcher that is a script, from what a shell needs on', async t => {
  const scene = await Scene.open('iptables', 'a')
  t.teardown(() => scene.close())
  for (const files of [14, 16, 18, 24, 48, 63]) {
    const { code, stdout } = await add(scene, `ulimit -n ${files}`, launchers.script)
    t.match({ files, code, error: JSON.parse(stdout) }, { code: 1, error: { code: 11, msg: /ulimit -n/ } })
    t.strictSame(await scene.residue(), [], `${files} files`)
  }
  for (const words of ['ulimit -n 64', 'ulimit -S -n 20']) {
    const enough = await add(scene, words, launchers.script)
    t.equal(enough.code, 0, `control: ${words}: ${enough.stdout}`)
    t.match(await new Calls(scene, 'script').run('DEL', 'a', { config: PORTS }), { code: 0 })
  }
})

t.test('with few files a command says so, too', async t => {
  const scene = await Scene.open('iptables')
  t.teardown(() => scene.close())
  for (const launcher of Object.values(launchers)) {
    const few = 'ulimit -n 16; exec "$0" ps'
    const { code, stdout, stderr } = await scene.host.run('sh', '-c', few, launcher, { mayFail: true })
    t.match({ code, stdout, stderr }, { code: 1, stdout: '', stderr: /^tsnet: .*ulimit -n/ }, launcher)
  }
})

t.test('where a user may have no more processes a runtime hears so', async t => {
  const scene = await Scene.open('iptables', 'a')
  t.teardown(() => scene.close())
  // Root of the machine may have any number. Where tsnet is, others may not look.
  const folder = mkdtempSync('/tmp/tsnet-user-')
  t.teardown(() => rmSync(folder, { recursive: true }))
  chmodSync(folder, 0o755)
  copyFileSync(launchers.program, `${folder}/tsnet`)
  const limited = (most: number) =>
    `exec setpriv --reuid 4711 --clear-groups prlimit --nproc=${most} ${folder}/tsnet`
  for (const most of [1, 8, 15]) {
    const { code, stdout } = await add(scene, limited(most))
    t.match({ most, code, error: JSON.parse(stdout) }, { code: 1, error: { code: 11, msg: /ulimit -u/ } })
  }
  t.match(await add(scene, limited(40)), { stderr: /Cannot find module/ }, 'control: Node starts')
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
  for (const launcher of Object.values(launchers)) {
    const { code, stdout } = await add(scene, 'PATH=/nowhere', launcher)
    t.match(
      { code, error: JSON.parse(stdout) },
      { code: 1, error: { code: 999, msg: /node cannot be started: (No such file|there is none in PATH)/ } },
    )
  }
})
