/**
 * kill -9 at every system call on the files of a network, while an address is taken and while it is
 * released. strace sends the signal in place of the call; so what the calls before it did is what is left.
 */

import { cpSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { collectLeases, giveBack, obtain } from '../../src/ipam/ipam.ts'
import { hasCode } from '../../src/model/errors.ts'
import { ownerTag } from '../../src/model/network.ts'
import { addressesOf, hostLocal, leaseFiles, NETWORK, owner, recordFiles } from '../support/leases.ts'
import { leaseWorker, runProgram } from '../support/processes.ts'

t.setTimeout(240_000)

/** A pool of one address: whoever loses it loses all. */
const SUBNET = '10.1.0.0/30'
const WHOLE = { '10.1.0.2': 'web0\r\neth0' }
const web = owner('web0')

/** Every path on which the worker works. */
function pathsIn(dataDir: string): string[] {
  const records = join(dataDir, '.tsnet', NETWORK)
  const record = join(records, ownerTag(web))
  const leases = ['10.1.0.2', 'lock', 'last_reserved_ip.0'].map(name => join(dataDir, NETWORK, name))
  return [record, `${record}.new`, `${record}.lease`, ...leases, join(dataDir, NETWORK), records]
}

/** Runs the worker under strace, which sees its calls on these paths. */
async function underStrace(dataDir: string, work: string, ...options: string[]) {
  const { code, signal, stderr } = await runProgram('strace', [
    ...options,
    ...pathsIn(dataDir).flatMap(path => ['-P', path]),
    process.execPath,
    ...leaseWorker(dataDir, SUBNET, work, 'web', '1'),
  ])
  if (code === 0 || signal === 'SIGKILL' || code === 137) return code === 0
  throw new Error(`ended with ${code ?? signal}: ${stderr}`)
}

/** A folder in which the work is about to be done. */
async function prepare(dataDir: string, work: string): Promise<string> {
  mkdirSync(dataDir)
  if (work === 'release') await obtain(hostLocal(dataDir, [SUBNET]), web, [])
  return dataDir
}

/** The calls of an undisturbed run, each with how often it has been made by then. */
async function callsOf(folder: string, work: string): Promise<{ call: string; nth: number }[]> {
  const log = join(folder, 'strace')
  await underStrace(await prepare(join(folder, 'undisturbed'), work), work, '-o', log)
  const seen = new Map<string, number>()
  return [...readFileSync(log, 'utf8').matchAll(/^(\w+)\(/gm)].map(([, call = '']) => {
    const nth = (seen.get(call) ?? 0) + 1
    seen.set(call, nth)
    return { call, nth }
  })
}

/** Kills at each call in turn, and looks at what remained. */
async function everyKill(t: Test, work: 'take' | 'release', look: (dataDir: string) => Promise<void>) {
  const folder = t.testdir()
  const calls = await callsOf(folder, work)
  t.ok(calls.length > 15, `${work} has ${calls.length} calls`)
  for (const [i, { call, nth }] of calls.entries()) {
    const dataDir = await prepare(join(folder, `${i}-${call}-${nth}`), work)
    // strace counts the calls of each name for itself.
    const inject = `inject=${call}:signal=KILL:when=${nth}`
    t.notOk(
      await underStrace(dataDir, work, '-qq', '-o', '/dev/null', '-e', inject),
      `killed at ${call} ${nth}`,
    )
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
