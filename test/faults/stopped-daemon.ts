/**
 * A daemon that a signal has stopped, or that is frozen with its control group, holds its sockets and answers nobody:
 * calls do without it, commands say so, both soon; and when it is continued, nothing is done a second time.
 */

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import { Calls, type Launcher, launchers } from '../support/calls.ts'
import { bySignal, Command, type Keeper } from '../support/daemon.ts'
import { FakePlugin } from '../support/fake-plugin.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

/** On a quiet machine a third of it. */
const SOON_MS = 6_000

const PORT = { runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }] } }

/** What is said of it. */
const WORDS = { signal: 'stopped', 'freezer, version 1': 'frozen', 'freezer, version 2': 'frozen' } as const
type Way = keyof typeof WORDS

const FIRST = '/sys/fs/cgroup/freezer'
const SECOND = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'].find(each =>
  existsSync(`${each}/cgroup.controllers`),
)

/** The freezers that this machine has. */
const ways = (Object.keys(WORDS) as Way[]).filter(way => way === 'signal' || rootOf(way) !== undefined)

function rootOf(way: Way): string | undefined {
  return way === 'freezer, version 1' ? [FIRST].find(each => existsSync(each)) : SECOND
}

async function byFreezer(t: Test, daemon: Running, way: Way): Promise<Keeper> {
  const isFirst = way === 'freezer, version 1'
  const root = rootOf(way)
  const group = `${root}/tsnet-test-${process.pid}`
  mkdirSync(group)
  const [file, frozen, thawed] = isFirst ? ['freezer.state', 'FROZEN', 'THAWED'] : ['cgroup.freeze', '1', '0']
  const [seen, says] = isFirst ? [file, 'FROZEN'] : ['cgroup.events', 'frozen 1']
  const release = async () => writeFileSync(`${group}/${file}`, thawed)
  t.teardown(async () => {
    await release()
    for (const pid of readFileSync(`${group}/cgroup.procs`, 'utf8').match(/\d+/g) ?? [])
      writeFileSync(`${root}/cgroup.procs`, pid)
    await waitFor(() => rmdirSync(group) ?? true, { what: 'the group to be empty' })
  })
  writeFileSync(`${group}/cgroup.procs`, String(daemon.pid))
  return {
    async keep() {
      // The first version may miss who is just being forked, and freezes it when told once more, or from the start: runc does so.
      let looks = 0
      const isFrozen = () => {
        if (++looks % 20 === 0) writeFileSync(`${group}/${file}`, thawed)
        writeFileSync(`${group}/${file}`, frozen)
        return readFileSync(`${group}/${seen}`, 'utf8').includes(says)
      }
      await waitFor(isFrozen, { what: 'the group to be frozen' })
    },
    release,
  }
}

async function open(t: Test, launcher: Launcher, way: Way) {
  const scene = await Scene.open('nftables', 'a', 'web')
  t.teardown(() => scene.close())
  const { host } = scene
  const calls = new Calls(scene, launcher)
  const tsnet = new Command(host, 'nftables')
  const daemon = await tsnet.daemon()
  const keeper = way === 'signal' ? bySignal(daemon) : await byFreezer(t, daemon, way)
  const timed = async <T>(what: string, work: Promise<T>): Promise<T> => {
    const began = performance.now()
    const done = await work
    const tookMs = Math.round(performance.now() - began)
    t.ok(tookMs < SOON_MS, `${what} took ${tookMs} ms`)
    return done
  }
  return { scene, host, calls, tsnet, daemon, keeper, timed }
}

for (const way of ways) {
  for (const launcher of Object.keys(launchers) as Launcher[]) {
    t.test(
      `${launcher}: calls do without a daemon that is ${WORDS[way]} (${way}), and it does nothing of them later`,
      async t => {
        const { scene, calls, daemon, keeper, timed } = await open(t, launcher, way)
        await keeper.keep()
        const add = await timed('ADD', calls.run('ADD', 'a', { config: PORT }))
        t.equal(add.code, 0, add.stdout)
        t.match(add.stderr, new RegExp(`port 8080/tcp does not answer on 127.0.0.1.* is ${WORDS[way]}`))
        const attached = await records(scene)
        await keeper.release()
        t.match(await calls.run('VERSION', 'a'), { code: 0 }, 'the daemon serves again')
        const prevResult = JSON.parse(add.stdout)
        t.match(await calls.run('CHECK', 'a', { config: { ...PORT, prevResult } }), { code: 0, stdout: '' })
        t.equal(await records(scene), attached, 'nothing was done again')
        const answers = async () => (await scene.host.ask('tcp', '127.0.0.1', 8080)).place === 'a'
        await waitFor(() => answers().catch(() => false), { what: 'the daemon to see to the port' })
        await keeper.keep()
        t.match(await timed('DEL', calls.run('DEL', 'a', { config: PORT })), { code: 0, stdout: '' })
        await keeper.release()
        t.equal((await daemon.stop('SIGTERM')).code, 0)
        t.strictSame(await scene.residue(), [])
      },
    )

    t.test(
      `${launcher}: a daemon that is ${WORDS[way]} (${way}) in the midst of an ADD takes it back when it goes on`,
      async t => {
        const folder = t.testdir({})
        const answer = `echo '{"cniVersion":"1.1.0","ips":[{"address":"10.10.0.9/16"}]}'`
        const wait = `while [ ! -e '${folder}/go' ]; do sleep 0.01; done`
        const plugin = new FakePlugin(folder, `${wait}; case $CNI_COMMAND in ADD) ${answer};; esac`)
        const { scene, daemon, keeper, timed } = await open(t, launcher, way)
        const config = { ipam: { type: plugin.name }, isDefaultGateway: false, cniVersion: '1.0.0' }
        const calls = new Calls(scene, launcher, config, { CNI_PATH: plugin.folder })
        const add = calls.start('ADD', 'a')
        await waitFor(() => plugin.calls.length > 0, { what: 'the ADD to ask for addresses' })
        await keeper.keep()
        const { code, stdout } = await timed('ADD', add.finished)
        t.match(
          { code, error: JSON.parse(stdout) },
          { code: 1, error: { code: 11, cniVersion: '1.0.0', msg: new RegExp(`is ${WORDS[way]}`) } },
        )
        writeFileSync(join(folder, 'go'), '')
        await keeper.release()
        await waitFor(() => plugin.calls.some(({ command }) => command === 'DEL'), {
          what: 'it to be taken back',
        })
        await waitFor(async () => (await records(scene)) === '', { what: 'the record to go' })
        t.equal((await daemon.stop('SIGTERM')).code, 0)
        t.strictSame(await scene.residue(), [])
      },
    )
  }

  t.test(`commands say that the daemon is ${WORDS[way]} (${way})`, async t => {
    const { tsnet, keeper, timed } = await open(t, 'program', way)
    await keeper.keep()
    for (const words of [
      ['publish', '8080:80', 'netns:web'],
      ['ports'],
      ['unpublish', '--all'],
      ['daemon', '--replace'],
    ]) {
      const { code, stderr } = await timed(words.join(' '), tsnet.try(...words))
      t.match(
        { code, stderr },
        {
          code: 1,
          stderr: new RegExp(
            `the daemon \\(pid \\d+\\) is ${WORDS[way]} .*${way === 'signal' ? 'kill -CONT' : 'thaw'}`,
            's',
          ),
        },
        words.join(' '),
      )
    }
    await keeper.release()
    t.same(await tsnet.ports(), [], 'nothing is published of what was given up')
  })
}

const records = async ({ host }: Scene): Promise<string> =>
  (await host.run('sh', '-c', 'cat /run/tsnet/attachments/*.json', { mayFail: true })).stdout
