import fc from 'fast-check'
import t from 'tap'
import { type Timed, Timers } from '../../../src/ffi/reactor/timers.ts'

const item = (): Timed => ({ wakeAt: 0, heapIndex: -1, expire() {}, fail() {} })

t.test('deadlines come in the order of time, whatever was set, moved and cleared before', async t => {
  const step = fc.record({ what: fc.constantFrom('set', 'clear'), item: fc.nat(19), at: fc.nat(1000) })
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(step as fc.Arbitrary<{ what: string; item: number; at: number }>), steps => {
        const timers = new Timers()
        const items = Array.from({ length: 20 }, item)
        const expected = new Map<Timed, number>()
        for (const { what, item: index, at } of steps) {
          const one = items[index] ?? item()
          if (what === 'set') timers.set(one, at)
          else timers.clear(one)
          if (what === 'set') expected.set(one, at)
          else expected.delete(one)
        }
        const due: number[] = []
        for (let one = timers.takeDue(500); one; one = timers.takeDue(500)) {
          due.push(one.wakeAt)
          if (expected.get(one) !== one.wakeAt || one.heapIndex !== -1) return false
        }
        const wanted = [...expected.values()].filter(at => at <= 500).sort((a, b) => a - b)
        const next = Math.min(...[...expected.values()].filter(at => at > 500))
        return JSON.stringify(due) === JSON.stringify(wanted) && timers.next === next
      }),
    ),
  )
})
