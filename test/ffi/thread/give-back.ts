/** What work has left goes back to the kernel: what V8 would keep, and what the C library would. */

import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { giveBackMemory } from '../../../src/ffi/thread/give-back.ts'
import { waitFor } from '../../../src/lab/lab.ts'

const MIB = 2 ** 20
/** Below what malloc(3) maps by itself, and gives back by itself. */
const SIZE = 16_384
const COUNT = 3_000

/** VmRSS, in bytes. */
const resident = (): number =>
  1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])

/** Leaves memory behind, with something in use at its end. */
function work() {
  const all = Array.from({ length: COUNT }, () => new Uint8Array(SIZE).fill(1))
  return { kept: all.slice(-1), left: new WeakRef(all[0] ?? all) }
}

t.test('what nobody has any more goes back to the kernel, though nothing else happens', async t => {
  const before = resident()
  const { kept, left } = work()
  // What a reference was made to stays for as long as the same piece of work goes on.
  await sleep(0)
  t.ok(resident() - before > 40 * MIB, 'control: until then it is held')
  giveBackMemory()
  await waitFor(() => left.deref() === undefined && resident() - before < 20 * MIB, {
    what: 'the memory to be given back',
  })
  t.equal(kept.length, 1)
})
