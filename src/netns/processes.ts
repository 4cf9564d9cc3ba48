/** Processes by pid and start: a pid alone is given again to another. */

import { readdirSync, readFileSync } from 'node:fs'

/**
 * `4711.8800`: pid and start, which stay the same when the process executes another program.
 * Source: proc_pid_stat(5), field 22, in clock ticks since boot; the name before may hold anything.
 * @returns undefined where there is no such process
 */
export function processIdentity(pid: number | 'self'): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const afterName = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return `${Number.parseInt(text, 10)}.${afterName[19]}`
  } catch {
    return undefined
  }
}

/** The name of the process that started another one, or has taken it over; undefined where there is none. */
export function parentName(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return processName(Number(parent))
  } catch {
    return undefined
  }
}

/** As ps(1) shows it, cut to 15 bytes; undefined where there is no such process. */
export function processName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim()
  } catch {
    return undefined
  }
}

/** All processes that we can see. */
export const listProcesses = (): number[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
