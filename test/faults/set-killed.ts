/**
 * `tsnet egress set` killed at system calls that change something: at every moment one list or the other is in force, never none,
 * `tsnet reconcile` makes kernel and record one, and a DEL leaves nothing.
 *
 *     client .2 ── lan0 host ── br-box ── boxed   may reach :80, is to reach :81; or everybody
 */

import t from 'tap'
import { Command, EXECUTABLE } from '../support/daemon.ts'
import { ALL } from '../support/faults.ts'
import { type Point, pointsIn, someOf, strace } from '../support/kill-points.ts'
import { NO_DAEMON } from '../support/no-daemon.ts'
import { answering } from '../support/reach.ts'
import { ANSWERS, CLIENT, Scene } from '../support/scene.ts'

t.setTimeout(900_000) // on a busy machine

const POINTS = ALL ? Number.POSITIVE_INFINITY : 6

const killing = ({ call, nth }: Point): string[] => ['-f', '-e', `inject=${call}:signal=KILL:when=${nth}`]

const BEFORE = `${CLIENT[4]}:${ANSWERS}`
const AFTER = `${CLIENT[4]}:81`

/** From one list to another, from a list to none, and from none to a list: who is reached before and after. */
const CHANGES = [
  { what: 'to another list', from: [BEFORE], to: [AFTER], open: false },
  { what: 'to everybody', from: [BEFORE], to: ['open'], open: true },
  { what: 'to a list', from: ['open'], to: [AFTER], open: true },
]

for (const { what, from, to, open } of CHANGES) {
  t.test(`killed on the way ${what}, it is one of both, and nothing is left`, async t => {
    const scene = await Scene.open('nftables', 'boxed')
    t.teardown(() => scene.close())
    scene.client.listen('tcp', 81)
    await scene.remember()
    const { host } = scene
    const boxed = scene.get('boxed')
    const box = scene.network('box', 1)
    const tsnet = new Command(host, 'nftables')
    const set = (options: readonly string[]) =>
      host.run(...(strace(options) as [string, ...string[]]), EXECUTABLE, 'egress', 'set', 'boxed', ...to, {
        env: { ...NO_DAEMON, TSNET_NAT: 'nftables' },
        mayFail: true,
      })
    const begin = async () => {
      const result = await box.add(boxed)
      await tsnet.run('egress', 'set', 'boxed', ...from)
      return result
    }
    await begin()
    const points = pointsIn((await set(['-f'])).stderr)
    await box.delete(boxed)
    t.strictSame(await scene.residue(), [], 'undisturbed')
    let [killed, old] = [0, 0]
    for (const point of someOf(points, POINTS)) {
      const result = await begin()
      const { code } = await set(killing(point))
      if (code !== 0) killed++
      const reached = async () => {
        const ports = [ANSWERS, 81]
        const answers = await Promise.all(ports.map(port => answering(boxed, 'tcp', CLIENT[4], port)))
        return ports.filter((_, i) => answers[i] === 'client')
      }
      const at = `${point.call} ${point.nth}`
      if (!open) t.equal((await reached()).length, 1, `${at}: one list is in force`)
      await tsnet.run('reconcile')
      await box.check(boxed, result)
      const after = await reached()
      const isOld = (from[0] === 'open' ? '80,81' : '80') === after.join()
      if (isOld) old++
      t.ok(isOld || after.join() === (to[0] === 'open' ? '80,81' : '81'), `${at}: it is one of both`)
      await box.delete(boxed)
      t.strictSame(await scene.residue(), [], at)
    }
    t.not(killed, 0, 'control: some were killed')
    t.comment(
      `figure: egress set killed at system calls, ${what}: ${killed}, the list of before in ${old}; residue 0`,
    )
  })
}
