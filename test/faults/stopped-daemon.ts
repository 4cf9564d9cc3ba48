/**
 * A daemon that a signal has stopped holds its sockets and answers nobody: calls do without it, commands say so, both
 * soon; and when it is continued, nothing is done a second time.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { Calls, type Launcher, launchers } from '../support/calls.ts'
import { Command } from '../support/daemon.ts'
import { FakePlugin } from '../support/fake-plugin.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(120_000)

/** On a quiet machine a third of it. */
const SOON_MS = 6_000

const PORT = { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } }

async function open(t: Test, launcher: Launcher) {
  const scene = await Scene.open('nftables', 'a', 'web')
  t.teardown(() => scene.close())
  const { host } = scene
  const calls = new Calls(scene, launcher)
  const tsnet = new Command(host, 'nftables')
  const daemon = await tsnet.daemon()
  const [, parent] = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')) ?? []
  const signal = (name: 'SIGSTOP' | 'SIGCONT') => {
    // nsenter stops with its child.
    for (const pid of [daemon.pid, name === 'SIGCONT' ? Number(parent) : undefined])
      if (pid !== undefined) process.kill(pid, name)
  }
  const timed = async <T>(what: string, work: Promise<T>): Promise<T> => {
    const began = performance.now()
    const done = await work
    const tookMs = Math.round(performance.now() - began)
    t.ok(tookMs < SOON_MS, `${what} took ${tookMs} ms`)
    return done
  }
  return { scene, host, calls, tsnet, daemon, signal, timed }
}

for (const launcher of Object.keys(launchers) as Launcher[]) {
  t.test(
    `${launcher}: calls do without a daemon that is stopped, and it does nothing of them later`,
    async t => {
      const { scene, calls, daemon, signal, timed } = await open(t, launcher)
      signal('SIGSTOP')
      const add = await timed('ADD', calls.run('ADD', 'a', { config: PORT }))
      t.equal(add.code, 0, add.stdout)
      t.match(add.stderr, /port 8080\/tcp does not answer on 127.0.0.1.* is stopped/)
      const attached = await records(scene)
      signal('SIGCONT')
      t.match(await calls.run('VERSION', 'a'), { code: 0 }, 'the daemon serves again')
      const prevResult = JSON.parse(add.stdout)
      t.match(await calls.run('CHECK', 'a', { config: { ...PORT, prevResult } }), { code: 0, stdout: '' })
      t.equal(await records(scene), attached, 'nothing was done again')
      const answers = async () => (await scene.host.ask('tcp', '127.0.0.1', 8080)).place === 'a'
      await waitFor(() => answers().catch(() => false), { what: 'the daemon to see to the port' })
      signal('SIGSTOP')
      t.match(await timed('DEL', calls.run('DEL', 'a', { config: PORT })), { code: 0, stdout: '' })
      signal('SIGCONT')
      t.equal((await daemon.stop('SIGTERM')).code, 0)
      t.strictSame(await scene.residue(), [])
    },
  )

  t.test(
    `${launcher}: a daemon that is stopped in the midst of an ADD takes it back when it goes on`,
    async t => {
      const folder = t.testdir({})
      const answer = `echo '{"cniVersion":"1.1.0","ips":[{"address":"10.10.0.9/16"}]}'`
      const wait = `while [ ! -e '${folder}/go' ]; do sleep 0.01; done`
      const plugin = new FakePlugin(folder, `${wait}; case $CNI_COMMAND in ADD) ${answer};; esac`)
      const { scene, daemon, signal, timed } = await open(t, launcher)
      const config = { ipam: { type: plugin.name }, isDefaultGateway: false, cniVersion: '1.0.0' }
      const calls = new Calls(scene, launcher, config, { CNI_PATH: plugin.folder })
      const add = calls.start('ADD', 'a')
      await waitFor(() => plugin.calls.length > 0, { what: 'the ADD to ask for addresses' })
      signal('SIGSTOP')
      const { code, stdout } = await timed('ADD', add.finished)
      t.match(
        { code, error: JSON.parse(stdout) },
        { code: 1, error: { code: 11, cniVersion: '1.0.0', msg: /is stopped/ } },
      )
      writeFileSync(join(folder, 'go'), '')
      signal('SIGCONT')
      await waitFor(() => plugin.calls.some(({ command }) => command === 'DEL'), {
        what: 'it to be taken back',
      })
      await waitFor(async () => (await records(scene)) === '', { what: 'the record to go' })
      t.equal((await daemon.stop('SIGTERM')).code, 0)
      t.strictSame(await scene.residue(), [])
    },
  )
}

t.test('commands say that the daemon is stopped', async t => {
  const { tsnet, signal, timed } = await open(t, 'program')
  signal('SIGSTOP')
  for (const words of [
    ['publish', '8080:80', 'netns:web'],
    ['ports'],
    ['unpublish', '--all'],
    ['daemon', '--replace'],
  ]) {
    const { code, stderr } = await timed(words.join(' '), tsnet.try(...words))
    t.match(
      { code, stderr },
      { code: 1, stderr: /the daemon \(pid \d+\) is stopped .*kill -CONT/s },
      words.join(' '),
    )
  }
  signal('SIGCONT')
  t.same(await tsnet.ports(), [], 'nothing is published of what was given up')
})

const records = async ({ host }: Scene): Promise<string> =>
  (await host.run('sh', '-c', 'cat /run/tsnet/attachments/*.json', { mayFail: true })).stdout
