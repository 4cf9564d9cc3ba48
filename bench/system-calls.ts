/**
 * How many system calls a piece of work takes: a count does not depend on what else the machine does, as a
 * time does. strace counts; it makes what it counts several times slower, so nothing is timed meanwhile.
 */

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What a report says of its counts. */
export const COUNTED =
  'system calls: of one call with all that it starts, and of the daemon meanwhile, after the timed turns'
/** And where it has none. */
export const NOT_COUNTED = 'system calls: not counted, strace is not installed or may not trace'

/** What a daemon still does for a call that it has answered. */
const AFTERWARDS_MS = 100

/** Words of strace that let a program run and count the calls of all its processes into a file. */
export const counting = (file: string): string[] => ['strace', '-f', '-c', '-o', file]

export const canCount = (): boolean =>
  spawnSync('strace', ['-c', '-o', '/dev/null', 'true'], { stdio: 'ignore' }).status === 0

/** One call's row of `strace -c`: share, seconds, microseconds each, calls, errors if any, name. */
const ROW = /^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(?!total$)\w+$/gm

/** All calls in a table of `strace -c`; 0 where nothing was called. Its own sum may lack a column. */
export const totalIn = (table: string): number =>
  [...table.matchAll(ROW)].reduce((sum, [, calls]) => sum + Number(calls), 0)

/**
 * Counts the calls of programs that `work` starts, and meanwhile those of a daemon.
 * @param work gets the words to put before each command line
 */
export async function countCalls(
  work: (prefix: (command: string[]) => string[]) => Promise<void> | void,
  daemonPid?: number,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-calls-'))
  const files: string[] = []
  const next = (): string => {
    const file = join(folder, String(files.length))
    files.push(file)
    return file
  }
  try {
    const detach = daemonPid === undefined ? undefined : await attach(daemonPid, next())
    try {
      await work(command => [...counting(next()), ...command])
    } finally {
      await detach?.()
    }
    return files.reduce((sum, file) => sum + totalIn(readFileSync(file, 'utf8')), 0)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Counts into a file from now on. @returns ends it */
async function attach(pid: number, file: string): Promise<() => Promise<void>> {
  const [program = '', ...options] = counting(file)
  const strace = spawn(program, [...options, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(strace, 'exit')
  // It says so when it has all threads: "Process 12 attached with 3 threads".
  const [said] = (await Promise.race([once(strace.stderr, 'data'), ended])) as [unknown]
  if (!String(said).includes('attached')) throw new Error(`strace cannot watch the daemon: ${said}`)
  strace.stderr.resume()
  return async () => {
    await new Promise(done => setTimeout(done, AFTERWARDS_MS))
    strace.kill('SIGINT')
    await ended
  }
}
