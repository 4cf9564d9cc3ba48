import t from 'tap'
import { afterWork, whenIdle } from '../../src/daemon/idle.ts'
import { waitFor } from '../../src/lab/lab.ts'

t.test('it settles when nobody has been in need for so long, and not before', async t => {
  const idleMs = 120
  const began = performance.now()
  let neededUntil = began + 150
  // It keeps no process alive.
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const idle = whenIdle(idleMs, () => performance.now() < neededUntil)
  // Needed again before the time is over.
  setTimeout(() => {
    neededUntil = performance.now() + 50
  }, 200)
  t.equal(await idle, 'not needed')
  t.ok(performance.now() - began >= 250 + idleMs - 20)
})

t.test('the end of work is said once, and no sooner', async t => {
  // Of the time between two looks; `said` is what hearing of it takes.
  const said = 0.9
  const shares = [0.5, 0, said, 0, 0.06, 0, 0.3, 0.08, 0.2, 0.01, said, 0]
  const asked: number[] = []
  // It keeps no process alive.
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const at: number[] = []
  const shareOfWork = () => {
    asked.push(shares[asked.length] ?? 0)
    return asked.at(-1) ?? 0
  }
  using _ = afterWork(() => at.push(asked.length), { lookMs: 1, pauseMs: 0, shareOfWork })
  await waitFor(() => asked.length > shares.length, { what: 'it to be looked often enough' })
  t.strictSame(at, [2, 10])
})
