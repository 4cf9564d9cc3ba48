/**
 * Each CNI command, `publish` and `unpublish`, at whose system calls the system says no: the kernel's answer is strace's.
 * A call succeeds, or says why it does not, in words for people; CHECK has changed nothing, and what else failed is taken
 * back by the next DEL and GC, settings of the host included. Nothing hangs.
 *
 * Only calls on our own files, sockets, namespaces and commands are refused: what Node reads to start with is its own. In
 * the long form all of them, each with every error that it may have; else some, spread over all (TEST_POINTS of a
 * command). TEST_CALLS names system calls, and no other is refused.
 */

import { readdirSync, readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { type Finished, type Host, waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { Command, EXECUTABLE } from '../support/daemon.ts'
import { type Refusal, refusalsIn, refused, refusedIn, STRACE } from '../support/error-points.ts'
import { extent } from '../support/extent.ts'
import { someOf } from '../support/kill-points.ts'
import type { Result } from '../support/libcni.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import type { Plugin } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, Scene } from '../support/scene.ts'

t.setTimeout(extent(600_000, 7_200_000))

/** Of a command; each takes about a second. */
const POINTS = Number(process.env.TEST_POINTS ?? extent(2, Number.POSITIVE_INFINITY))
/** Of these system calls alone. */
const CALLS = process.env.TEST_CALLS?.split(',')
/** Much longer than a call takes that waits for nothing; the long form runs beside other work, and as the last of it. */
const HANGS_MS = extent(60_000, 300_000)

const ports = [{ hostPort: 8080, containerPort: ANSWERS }]
/** What could not be read was set aside, for people to look at. */
const isLeft = (line: string): boolean => !/ \/run\/tsnet(\/damaged\S*)? appeared/.test(line)
/**
 * Chains that nobody uses stay with the iptables backend while others have rules, and go with who fails. Commands that
 * wait for the next transaction come and go with the daemon's need of them.
 */
const isWorse = (line: string): boolean =>
  isLeft(line) && !/TSNET-.* is gone$|^process \S*tables-restore .* is gone$/.test(line)
const NOBODY = { 'cni.dev/valid-attachments': [] }

const chosen = (all: readonly Refusal[]): Refusal[] =>
  someOf(
    all.filter(({ call }) => CALLS?.includes(call) ?? true),
    POINTS,
  )

interface Stage {
  scene: Scene
  front: Plugin
}

async function open(t: Test, backend: NatBackend): Promise<Stage> {
  const scene = await Scene.open(backend, 'web')
  t.teardown(() => scene.close())
  const front = scene.network('front', 10, { macspoofchk: true })
  // What only the first one ever makes (tables of iptables, the folder of the leases) is there from here on.
  await front.add(scene.get('web'), { ports })
  await front.delete(scene.get('web'), { ports })
  await scene.remember()
  return { scene, front }
}

/** One CNI call under strace. */
const call = ({ scene, front }: Stage, command: string, options: readonly string[], more: object) =>
  scene.host.run(...STRACE, ...options, EXECUTABLE, {
    env: {
      ...NO_DAEMON,
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'web',
      CNI_NETNS: scene.get('web').path,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/nowhere',
      TSNET_NAT: scene.backend,
    },
    stdin: JSON.stringify({
      ...front.config,
      runtimeConfig: { portMappings: ports.map(port => ({ protocol: 'tcp', ...port })) },
      ...more,
    }),
    mayFail: true,
    withinMs: HANGS_MS,
  })

/** What fails says so as the specification has it, and blames nobody for what the system refused. */
function saysWhy(t: Test, { stdout, stderr }: Finished, where: string): void {
  const answer = JSON.parse(stdout || '{}') as { code?: number; msg?: string; details?: string }
  t.ok(answer.code !== undefined && answer.msg !== undefined, `${where}: ${stdout}${stderr}`)
  t.not(answer.code, 999, `${where}: ${stdout}`)
  t.notMatch(answer.details ?? '', /\n +at /, `${where}: no stack`)
}

const daemonOf = (host: Host): number =>
  host.processes().find(({ command }) => /^node .*tsnet daemon/.test(command))?.pid ?? 0

/** With all its threads. */
function isTraced(host: Host): boolean {
  const tasks = host.path(`/proc/${daemonOf(host)}/task`)
  return readdirSync(tasks).every(
    task => !/^TracerPid:\s+0$/m.test(readFileSync(`${tasks}/${task}/status`, 'utf8')),
  )
}

for (const backend of BACKENDS) {
  t.test(`${backend}: what the system refuses a CNI call is said, and taken back`, async t => {
    const stage = await open(t, backend)
    const { scene, front } = stage
    let [points, failed, left] = [0, 0, 0]
    for (const command of ['ADD', 'DEL', 'CHECK', 'GC'] as const) {
      const attach = async (): Promise<Result | undefined> =>
        command === 'ADD' ? undefined : front.add(scene.get('web'), { ports })
      const more = (prevResult: Result | undefined) => (command === 'GC' ? NOBODY : { prevResult })
      const first = await attach()
      const all = refusalsIn((await call(stage, command, [], more(first))).stderr)
      await front.delete(scene.get('web'), { ports })
      t.ok(all.length > 5, `${command}: ${all.length} places`)
      for (const refusal of chosen(all)) {
        const where = `${command}: ${refusal.error} at ${refusal.call} ${refusal.nth}`
        const result = await attach()
        const before = await scene.differences()
        const ended = await call(stage, command, refused(refusal), more(result))
        const who = refusedIn(ended.stderr)
        if (who === 'us') points++
        if (who === 'us' && ended.code !== 0) {
          failed++
          saysWhy(t, ended, where)
        }
        if (command === 'CHECK') t.strictSame(await scene.differences(), before, `${where}: CHECK only looks`)
        if (command === 'ADD' && ended.code !== 0 && (await scene.differences()).length > 0) left++
        await front.delete(scene.get('web'), { ports })
        await front.collect([])
        t.strictSame(await scene.residue(isLeft), [], `${where}, ended with ${ended.code}`)
      }
    }
    t.ok(failed > 0, `control: ${failed} of ${points} calls fail`)
    t.comment(
      `figure: system calls refused in CNI calls, ${backend}: ${points}, ${failed} of which failed the call; ${left} ADDs left something to DEL; residue 0`,
    )
  })

  t.test(`${backend}: what the system refuses a daemon that publishes is said, and taken back`, async t => {
    const { scene, front } = await open(t, backend)
    const tsnet = new Command(scene.host, backend)
    await front.add(scene.get('web'))
    const daemon = await tsnet.daemon()
    await tsnet.run('publish', '8081:80', 'netns:web')
    await tsnet.run('unpublish', '8081')
    await scene.remember()
    let [points, failed] = [0, 0]
    for (const operation of ['publish', 'unpublish'] as const) {
      const publish = () => tsnet.try('publish', '8081:80', 'netns:web')
      /** With strace at the daemon, which is there already. */
      const traced = async (options: readonly string[]) => {
        const tracer = scene.host.start(...STRACE, ...options, '-p', `${daemonOf(scene.host)}`)
        await waitFor(() => isTraced(scene.host), { what: 'strace' })
        const ended = await (operation === 'publish' ? publish() : tsnet.try('unpublish', '8081'))
        return { ended, trace: (await tracer.stop('SIGINT')).stderr }
      }
      if (operation === 'unpublish') await publish()
      const all = refusalsIn((await traced([])).trace)
      await tsnet.try('unpublish', '8081')
      t.ok(all.length > 5, `${operation}: ${all.length} places`)
      for (const refusal of chosen(all)) {
        const where = `${operation}: ${refusal.error} at ${refusal.call} ${refusal.nth}`
        if (operation === 'unpublish') await publish()
        const { ended, trace } = await traced(refused(refusal))
        if (refusedIn(trace) === 'us') points++
        if (ended.code !== 0) {
          failed++
          t.ok(ended.code === 1 || ended.code === 2, where)
          t.match(ended.stderr, /\w/, where)
          t.notMatch(ended.stderr, /\n +at /, `${where}: no stack`)
        }
        await tsnet.try('unpublish', '8081')
        await front.collect(['web'])
        t.strictSame(await scene.residue(isWorse), [], `${where}, ended with ${ended.code}`)
        t.equal((await publish()).code, 0, `${where}: it can be published`)
        await tsnet.run('unpublish', '8081')
      }
    }
    t.comment(
      `figure: system calls refused in a daemon that publishes, ${backend}: ${points}, ${failed} of which failed the command; residue 0`,
    )
    t.equal((await daemon.stop('SIGTERM')).code, 0)
  })
}
