/**
 * Namespaces of its own for a whole benchmark: the program starts itself again under `unshare`, and puts
 * empty folders over those in which plugins keep state.
 */

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'

const MARK = 'TSNET_BENCH_SANDBOX'

export const insideSandbox = (): boolean => process.env[MARK] !== undefined

/** Runs this program again in namespaces of its own. @returns its exit code */
export function rerunInSandbox(): number {
  // Node parses an extra CA bundle at every start: 120 ms that neither side would have elsewhere.
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const { status, error } = spawnSync(
    'unshare',
    ['--mount', '--net', process.execPath, ...process.argv.slice(1)],
    { stdio: 'inherit', env: { ...env, [MARK]: '1', TSNET_DAEMON: 'off' } },
  )
  if (error !== undefined) throw error
  return status ?? 1
}

/** Empties the folders of state, and brings the loopback up. */
export function furnishSandbox(): void {
  for (const folder of ['/run', '/var/lib'])
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', folder])
  mkdirSync('/run/netns')
  ip('link', 'set', 'lo', 'up')
}

/** Runs `ip`. @throws Error when it fails */
export function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
