/**
 * kill -9 at every system call on the files of a network, while an address is taken and while it is
 * released. strace sends the signal in place of the call; so what the calls before it did is what is left.
 */

import { cpSync } from 'node:fs'
import t, { type Test } from 'tap'
import { collectLeases, giveBack, obtain } from '../../src/ipam/ipam.ts'
import { hasCode } from '../../src/model/errors.ts'
import { callsOf, disturb, SUBNET, WHOLE, type Work, web } from '../support/lease-strace.ts'
import { addressesOf, hostLocal, leaseFiles, NETWORK, owner, recordFiles } from '../support/leases.ts'

t.setTimeout(600_000)

/** Kills at each call in turn, and looks at what remained. */
async function everyKill(t: Test, work: Work, look: (dataDir: string) => Promise<void>) {
  const folder = t.testdir()
  const calls = await callsOf(folder, work)
  t.ok(calls.length > 15, `${work} has ${calls.length} calls`)
  for (const call of calls) {
    const { dataDir, ended } = await disturb(folder, work, call, 'signal=KILL')
    t.ok(ended.signal === 'SIGKILL' || ended.code === 137, `killed at ${call.call} ${call.nth}`)
    await look(dataDir)
  }
  t.comment(`killed at each of ${calls.length} calls: ${calls.map(({ call }) => call).join(' ')}`)
}

/** A copy of what the killed one left, for each thing that may come next. */
function copyOf(dataDir: string, name: string) {
  const copy = `${dataDir}-${name}`
  // Hard links become files of their own, as in a copy made by hand.
  cpSync(dataDir, copy, { recursive: true })
  return hostLocal(copy, [SUBNET])
}

async function recovers(t: Test, dataDir: string): Promise<void> {
  const files = leaseFiles(dataDir)
  t.ok(Object.keys(files).length === 0 || JSON.stringify(files) === JSON.stringify(WHOLE), 'a lease is whole')

  const del = copyOf(dataDir, 'del')
  await giveBack(del, web, undefined)
  t.same(leaseFiles(del.dataDir), {})
  t.same(recordFiles(del.dataDir), [], 'a DEL leaves nothing')
  await obtain(del, owner('next'), [])

  const again = copyOf(dataDir, 'again')
  const outcome = await obtain(again, web, []).catch((thrown: unknown) => thrown)
  if (hasCode(outcome, 'conflict')) t.same(files, WHOLE, 'refused only for a whole lease')
  else t.same(leaseFiles(again.dataDir), WHOLE, 'the same container may try again')

  const reboot = copyOf(dataDir, 'reboot')
  const { leases } = await obtain(reboot, owner('next', { bootId: 'next boot' }), [])
  t.same(addressesOf(leases), ['10.1.0.2'], 'after a reboot the address is there')

  const collected = copyOf(dataDir, 'collected')
  await collectLeases(collected, NETWORK, [])
  t.same(leaseFiles(collected.dataDir), {})
  t.same(recordFiles(collected.dataDir), [], 'a GC leaves nothing')
}

t.test('killed anywhere while taking, nothing is half there and no address is lost', async t => {
  await everyKill(t, 'take', dataDir => recovers(t, dataDir))
})

t.test('killed anywhere while releasing, nothing is half there and no address is lost', async t => {
  await everyKill(t, 'release', dataDir => recovers(t, dataDir))
})
