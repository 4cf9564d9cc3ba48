/** Processes by pid and start: a pid alone is given again to another. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

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

/** True while the process of an identity is there. */
export const isRunning = (identity: string): boolean =>
  processIdentity(Number.parseInt(identity, 10)) === identity

/** The process that started another one, or has taken it over; undefined where there is none. */
export function parentOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [, parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return Number(parent) || undefined
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

/** What it was started with, its own name first; empty where there is no such process. */
export function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
  } catch {
    return []
  }
}

/** True for a process whose paths mean the files that they mean here. */
export function seesOurFiles(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt')
  } catch {
    return false
  }
}

/** All processes that we can see. */
export const listProcesses = (): number[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
