/**
 * A process that takes or releases the only address of a pool under strace, which can kill it at each of
 * its system calls, or make that call fail.
 */

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../src/ipam/ipam.ts'
import { ownerTag } from '../../src/model/network.ts'
import { hostLocal, NETWORK, owner } from './leases.ts'
import { type Ended, leaseWorker, runProgram } from './processes.ts'

export type Work = 'take' | 'release'

/** A pool of one address: whoever loses it loses all. */
export const SUBNET = '10.1.0.0/30'
/** The container that the worker works for, and its lease. */
export const web = owner('web0')
export const WHOLE = { '10.1.0.2': 'web0\r\neth0' }

/** Every path on which the worker works. */
function pathsIn(dataDir: string): string[] {
  const records = join(dataDir, '.tsnet', NETWORK)
  const record = join(records, ownerTag(web))
  const leases = ['10.1.0.2', 'lock', 'last_reserved_ip.0'].map(name => join(dataDir, NETWORK, name))
  return [record, `${record}.new`, `${record}.lease`, ...leases, join(dataDir, NETWORK), records]
}

function underStrace(dataDir: string, work: Work, ...options: string[]): Promise<Ended> {
  return runProgram('strace', [
    ...options,
    ...pathsIn(dataDir).flatMap(path => ['-P', path]),
    process.execPath,
    ...leaseWorker(dataDir, SUBNET, work, 'web', '1'),
  ])
}

/** A folder in which the work is about to be done. */
async function prepare(dataDir: string, work: Work): Promise<string> {
  mkdirSync(dataDir)
  if (work === 'release') await obtain(hostLocal(dataDir, [SUBNET]), web, [])
  return dataDir
}

/** A system call on the files of the network: `nth` counts those of the same name. */
export interface SystemCall {
  call: string
  nth: number
}

/** The calls of an undisturbed run. */
export async function callsOf(folder: string, work: Work): Promise<SystemCall[]> {
  const log = join(folder, 'strace')
  const { code, stderr } = await underStrace(
    await prepare(join(folder, 'undisturbed'), work),
    work,
    '-o',
    log,
  )
  if (code !== 0) throw new Error(stderr)
  const seen = new Map<string, number>()
  return [...readFileSync(log, 'utf8').matchAll(/^(\w+)\(/gm)].map(([, call = '']) => {
    const nth = (seen.get(call) ?? 0) + 1
    seen.set(call, nth)
    return { call, nth }
  })
}

/**
 * Runs the worker in a folder of its own, and disturbs it at one call.
 * @param how `signal=KILL`, which is sent in place of the call, or `error=ENOSPC`
 */
export async function disturb(folder: string, work: Work, { call, nth }: SystemCall, how: string) {
  const dataDir = await prepare(join(folder, `${call}-${nth}`), work)
  // strace counts the calls of each name for itself.
  const inject = `inject=${call}:${how}:when=${nth}`
  return { dataDir, ended: await underStrace(dataDir, work, '-qq', '-o', '/dev/null', '-e', inject) }
}
