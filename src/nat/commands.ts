/**
 * The commands that are run: found once by absolute path, fed through stdin, never given text of others
 * as arguments.
 */

import { accessSync, constants, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { type Finished, runCommand } from '../ffi/command.ts'
import { surroundings } from '../model/surroundings.ts'
import { worksForUs } from '../netns/orphans.ts'

/** Administrators' commands are not on everybody's PATH, least of all a container runtime's. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']

export const TIMEOUT_MS = 90_000

/** Absolute path of a command, or undefined. Looked up anew each time: packages come and go. */
export function findCommand(name: string): string | undefined {
  const folders = (surroundings().env.PATH ?? '').split(':').filter(isAbsolute)
  return [...folders, ...SYSTEM_FOLDERS].map(folder => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    // Most folders have none, and an error takes much longer to make than the look.
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return false
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** What a command of ours sees of the caller's environment. */
export function cleanEnvironment(): string[] {
  const { env: theirs } = surroundings()
  const { PATH = SYSTEM_FOLDERS.join(':') } = theirs
  const env = ['LC_ALL=C', `PATH=${PATH}`, ...Object.entries(worksForUs()).map(([k, v]) => `${k}=${v}`)]
  for (const name of ['XTABLES_LOCKFILE', 'DBUS_SYSTEM_BUS_ADDRESS']) {
    const value = theirs[name]
    if (value !== undefined) env.push(`${name}=${value}`)
  }
  return env
}

export const wasKilled = ({ code }: Finished): boolean => code > 128

/** What a command said when it failed; never nothing. */
export function wordsOf(failure: Finished): string {
  const { code, stderr } = failure
  const lines = stderr.split('\n').filter(line => line.trim() !== '' && !line.startsWith('Try `'))
  if (lines.length > 0) return lines.join(' ').trim()
  const end = wasKilled(failure) ? `was ended by signal ${code - 128}` : `ended with ${code}`
  return `it ${end}, without a word`
}

/**
 * Runs a command with a clean environment.
 * @throws SystemError when it cannot be started
 */
export const run = (path: string, args: string[], rest: { stdin?: string } = {}): Promise<Finished> =>
  runCommand(path, args, { ...rest, env: cleanEnvironment(), withinMs: TIMEOUT_MS })
