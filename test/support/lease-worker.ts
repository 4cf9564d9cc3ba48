/**
 * A process that takes and releases addresses, for tests with many of them or with one that is killed.
 *
 *     node lease-worker.js DATADIR SUBNET take|release PREFIX COUNT [barrier=FILE] [nolock]
 *
 * Works for the containers PREFIX0, PREFIX1, … and prints the addresses taken as a JSON list. With a
 * barrier it waits for the file to appear; with `nolock` every flock(2) succeeds at once, held or not.
 */

import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { libc } from '../../src/ffi/ffi.ts'
import { giveBack, obtain } from '../../src/ipam/ipam.ts'
import { addressesOf, hostLocal, owner } from './leases.ts'

const [dataDir = '', subnet = '', work = '', prefix = '', count = '1', ...more] = process.argv.slice(2)
if (more.includes('nolock')) Object.defineProperty(libc, 'flock', { value: () => 0 })
const barrier = more.find(word => word.startsWith('barrier='))?.slice('barrier='.length)
// A test that died never opens the barrier.
const deadline = performance.now() + 60_000
while (barrier !== undefined && !existsSync(barrier) && performance.now() < deadline) await pause(5)

const options = hostLocal(dataDir, [subnet])
const taken: string[] = []
for (let i = 0; i < Number(count); i++) {
  const who = owner(`${prefix}${i}`)
  if (work === 'take') taken.push(...addressesOf((await obtain(options, who, [])).leases))
  else await giveBack(options, who, undefined)
}
console.log(JSON.stringify(taken))
