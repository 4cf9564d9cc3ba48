/**
 * The commands that are run: found once by absolute path, fed through stdin, never given text of others
 * as arguments.
 */

import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { isAbsolute, join } from 'node:path'

/** Administrators' commands are not on everybody's PATH, least of all a container runtime's. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/sbin', '/usr/bin', '/bin']

const TIMEOUT_MS = 90_000

/** Absolute path of a command, or undefined. Looked up anew each time: packages come and go. */
export function findCommand(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(':').filter(isAbsolute)
  return [...folders, ...SYSTEM_FOLDERS].map(folder => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export interface Finished {
  /** Exit code; 255 for a command that a signal ended. */
  code: number
  stdout: string
  stderr: string
}

/**
 * Runs a command in a session of its own, so that a signal meant for us does not stop it halfway.
 * @throws Error when it cannot be started
 */
export function runCommand(path: string, args: string[], stdin = ''): Promise<Finished> {
  const { XTABLES_LOCKFILE, PATH } = process.env
  const env = { LC_ALL: 'C', PATH, ...(XTABLES_LOCKFILE !== undefined && { XTABLES_LOCKFILE }) }
  const child = spawn(path, args, { env, detached: true, timeout: TIMEOUT_MS, killSignal: 'SIGKILL' })
  return new Promise((resolve, reject) => {
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code: code ?? 255, stdout, stderr }))
    // A command that ends before it has read everything says why on stderr.
    child.stdin.on('error', () => {})
    child.stdin.end(stdin)
  })
}
