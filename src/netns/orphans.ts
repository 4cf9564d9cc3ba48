/**
 * Commands and plugins that we started, and that have outlived us.
 *
 * Killed, we leave behind what we had started, and that may wait: an iptables-restore for the lock of its tables, up to a
 * minute. It would do its work when whoever came after us has taken down what we had begun, and somebody else has the
 * address. The kernel would end it with us (PR_SET_PDEATHSIG), but has to be asked by the child itself, which is not ours
 * to tell. So each has in its environment for whom it works, and who finds that another has died in the middle of
 * something ends what still works for the dead, before doing anything else.
 */

import { readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode } from '../model/errors.ts'
import { listProcesses, processIdentity } from './processes.ts'

const NAME = 'TSNET_WORKS_FOR'

/** How long it may take to finish by itself: a plugin that is killed leaves what it has begun, too. */
const FINISH_WITHIN_MS = 1_000
const GONE_WITHIN_MS = 2_000
const LOOK_MS = 20

let ours: Record<string, string> | undefined

/** What whoever we start has in its environment. */
export function worksForUs(): Record<string, string> {
  ours ??= { [NAME]: processIdentity('self') ?? '' }
  return ours
}

/** Waits a moment for all orphans to finish, and kills those that do not. */
export async function endOrphans(): Promise<void> {
  let orphans = listProcesses().filter(isOrphan)
  const began = performance.now()
  for (let killed = false; orphans.length > 0; orphans = orphans.filter(isOrphan)) {
    const waitedMs = performance.now() - began
    if (waitedMs > GONE_WITHIN_MS) return
    if (!killed && waitedMs > FINISH_WITHIN_MS) {
      killed = true
      for (const pid of orphans) kill(pid)
    }
    await sleep(LOOK_MS)
  }
}

/**
 * True for one that works for a process that is no more. A process that has ended has no environment. In another pid
 * namespace numbers mean others.
 */
function isOrphan(pid: number): boolean {
  const master = masterOf(pid)
  if (master === undefined || processIdentity(Number.parseInt(master, 10)) === master) return false
  return pidNamespace(pid) === pidNamespace('self')
}

function pidNamespace(pid: number | 'self'): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return undefined
  }
}

function masterOf(pid: number): string | undefined {
  try {
    return new RegExp(`(?:^|\\0)${NAME}=(\\d+\\.\\d+)\\0`).exec(
      readFileSync(`/proc/${pid}/environ`, 'latin1'),
    )?.[1]
  } catch {
    return undefined
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (thrown) {
    if (!hasCode(thrown, 'ESRCH')) throw thrown
  }
}
