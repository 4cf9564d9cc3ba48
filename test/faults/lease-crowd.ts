/**
 * Many processes at one pool at once: nobody gets what another has, whether or not they wait in line.
 */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { giveBack } from '../../src/ipam/ipam.ts'
import { hostLocal, leaseFiles, owner, plantLease, recordFiles } from '../support/leases.ts'
import { leaseWorker, runProgram } from '../support/processes.ts'

t.setTimeout(600_000)

/** Starts workers, lets them go at once, and returns the addresses that all of them got. */
async function crowd(dataDir: string, subnet: string, processes: number, each: number, ...more: string[]) {
  mkdirSync(dataDir, { recursive: true })
  const barrier = join(dataDir, 'go')
  const args = (i: number) => [dataDir, subnet, 'take', `p${i}x`, String(each), `barrier=${barrier}`, ...more]
  const running = Array.from({ length: processes }, (_, i) =>
    runProgram(process.execPath, leaseWorker(...args(i))),
  )
  writeFileSync(barrier, '')
  return (await Promise.all(running)).map(({ code, stdout, stderr }) => {
    if (code !== 0) throw new Error(stderr)
    return JSON.parse(stdout) as string[]
  })
}

t.test('fifty processes at once get all addresses of a pool, each one once', async t => {
  const dataDir = t.testdir()
  // What is left are exactly as many as are asked for, 10.1.0.2 to 10.1.0.251.
  for (const host of [252, 253, 254]) plantLease(dataDir, `10.1.0.${host}`, 'kept')
  const taken = await crowd(dataDir, '10.1.0.0/24', 50, 5)
  t.equal(new Set(taken.flat()).size, 250)
  const files = leaseFiles(dataDir)
  for (const [i, addresses] of taken.entries()) {
    t.same(
      addresses.map(ip => files[ip]),
      addresses.map((_, j) => `p${i}x${j}\r\neth0`),
      'and hold what they got',
    )
  }
  t.equal(recordFiles(dataDir).length, 250, 'nothing is left of writing')
})

t.test('uniqueness does not rest on the lock: the same without any', async t => {
  const dataDir = t.testdir()
  const taken = await crowd(dataDir, '10.1.0.0/24', 20, 12, 'nolock')
  t.equal(new Set(taken.flat()).size, 240)
  const options = hostLocal(dataDir, ['10.1.0.0/24'])
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 12; j++) await giveBack(options, owner(`p${i}x${j}`), undefined)
  }
  t.same(leaseFiles(dataDir), {})
  t.same(recordFiles(dataDir), [])
})
