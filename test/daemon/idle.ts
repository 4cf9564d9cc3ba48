import t from 'tap'
import { whenIdle } from '../../src/daemon/idle.ts'

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
