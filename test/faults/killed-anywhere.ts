/**
 * Each CNI command, killed by strace in place of a system call that changes something: the next DEL and GC leave
 * nothing, with the namespace or without, and an ADD after that succeeds. Then the daemon, killed at such calls while it
 * serves a whole life of a container. In the long form at every such call; else at a few of each kind.
 *
 * The control: some kills leave something, or there would be nothing to take down.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { Command, EXECUTABLE } from '../support/daemon.ts'
import { extent, isLong } from '../support/extent.ts'
import { type Point, pointsIn, someOf, strace } from '../support/kill-points.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import type { Plugin } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, Scene } from '../support/scene.ts'

t.setTimeout(extent(600_000, 7_200_000))

const KILLED = 137
const ports = [{ hostPort: 8080, containerPort: ANSWERS }]
/** Of namespaces that came back the names are the same. */
const isOurs = (line: string): boolean => !line.startsWith('mount /run/netns/')

async function open(backend: NatBackend) {
  const scene = await Scene.open(backend, 'web')
  return { scene, front: scene.network('front', 10) }
}

/** One command under strace, as Plugin would have it. */
function traced(
  scene: Scene,
  front: Plugin,
  command: string,
  options: readonly string[],
  config: object = {},
) {
  return scene.host.run(...strace(options), EXECUTABLE, {
    env: {
      ...NO_DAEMON,
      CNI_COMMAND: command,
      CNI_CONTAINERID: 'web',
      CNI_NETNS: scene.get('web').path,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/opt/cni/bin',
      TSNET_NAT: scene.backend,
    },
    stdin: JSON.stringify({
      ...front.config,
      runtimeConfig: { portMappings: ports.map(port => ({ protocol: 'tcp', ...port })) },
      ...config,
    }),
    mayFail: true,
  })
}

const NOBODY = { 'cni.dev/valid-attachments': [] }

for (const backend of BACKENDS) {
  t.test(`${backend}: a call that is killed anywhere is taken back by DEL and GC`, async t => {
    const { scene, front } = await open(backend)
    t.teardown(() => scene.close())
    const attach = () => front.add(scene.get('web'), { ports })
    let [kills, halfDone] = [0, 0]
    for (const command of ['ADD', 'DEL', 'GC'] as const) {
      const config = command === 'GC' ? NOBODY : {}
      if (command !== 'ADD') await attach()
      const points = pointsIn((await traced(scene, front, command, ['-f'], config)).stderr)
      await front.delete(scene.get('web'), { ports })
      t.ok(points.length > 5, `${command}: ${points.length} places`)
      for (const [i, point] of someOf(points, extent(2, Number.POSITIVE_INFINITY)).entries()) {
        for (const isGone of isLong ? [false, true] : [i % 2 === 1]) {
          const where = `${command} ${point.call} ${point.nth}${isGone ? ', namespace gone' : ''}`
          if (command !== 'ADD') await attach()
          const { code } = await traced(scene, front, command, killing(point), config)
          if (code === KILLED) kills++
          if ((await scene.differences()).some(isOurs)) halfDone++
          if (isGone) await scene.get('web').remove()
          if (command !== 'GC') await front.delete(isGone ? 'web' : scene.get('web'), { ports })
          // Also what was being written, which nobody else looks for.
          await front.collect([])
          if (isGone) await scene.container('web')
          t.strictSame(await scene.residue(isOurs), [], where)
        }
      }
      await attach()
      await front.delete(scene.get('web'), { ports })
    }
    t.strictSame(await scene.residue(isOurs), [])
    t.ok(kills > 0 && halfDone > 0, `control: ${kills} were killed, of which ${halfDone} left something`)
    t.comment(
      `figure: calls killed at system calls, ${backend}: ${kills}, of which ${halfDone} left work to DEL or GC; residue 0`,
    )
  })

  t.test(
    `${backend}: a daemon that is killed anywhere leaves nothing that its successor and DEL do not take`,
    async t => {
      const { scene, front } = await open(backend)
      t.teardown(() => scene.close())
      const tsnet = new Command(scene.host, backend)
      /** A whole life; what the daemon does not do is done without it, or fails. */
      const live = async () => {
        const result = await front.add(scene.get('web'), { ports })
        await tsnet.try('publish', '8081:80', 'netns:web')
        await front.check(scene.get('web'), result, { ports })
        await tsnet.try('unpublish', '8081')
        await front.delete(scene.get('web'), { ports })
        await front.collect([])
      }
      const serve = (options: readonly string[]) => {
        const daemon = scene.host.start(...strace(options), EXECUTABLE, 'daemon', {
          env: { ...NO_DAEMON, TSNET_NAT: backend },
        })
        let isOver = false
        void daemon.finished.then(() => {
          isOver = true
        })
        const isReady = () => daemon.stdout.includes('ready') || isOver
        return waitFor(isReady, { what: 'the daemon to be ready or dead', withinMs: 60_000 }).then(
          () => daemon,
        )
      }
      const undisturbed = await serve(['-f'])
      await live()
      await tsnet.host.run('pkill', '-TERM', '-f', '^node .*daemon', { mayFail: true })
      const points = pointsIn((await undisturbed.finished).stderr)
      t.strictSame(await scene.residue(isOurs), [])
      let kills = 0
      for (const point of someOf(points, extent(2, Number.POSITIVE_INFINITY))) {
        const daemon = await serve(killing(point))
        await live()
        await tsnet.host.run('pkill', '-TERM', '-f', '^node .*daemon', { mayFail: true })
        if ((await daemon.finished).code === KILLED) kills++
        // A command that found nobody has started one.
        const successor = await tsnet.daemon('--replace')
        await tsnet.run('unpublish', '--all')
        await front.delete(scene.get('web'), { ports })
        await front.collect([])
        await scene.host.run('rm', '-f', '/run/tsnet/daemon.log')
        await successor.stop('SIGTERM')
        t.strictSame(await scene.residue(isOurs), [], `${point.call} ${point.nth}`)
      }
      t.ok(kills > 0, `control: ${kills} were killed`)
      t.comment(`figure: daemons killed at system calls, ${backend}: ${kills}; residue 0`)
    },
  )
}

const killing = ({ call, nth }: Point): string[] => ['-f', '-e', `inject=${call}:signal=KILL:when=${nth}`]
