/**
 * Namespaces of its own for a whole benchmark: the program starts itself again under `unshare`, and puts
 * empty folders over those in which plugins keep state.
 */

import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'

const MARK = 'TSNET_BENCH_SANDBOX'

export const insideSandbox = (): boolean => process.env[MARK] !== undefined

/**
 * Runs this program again in namespaces of its own.
 * @returns what it prints, a line of JSON at the end
 */
export function rerunInSandbox(words: readonly string[]): unknown {
  // Node parses an extra CA bundle at every start: 120 ms that neither side would have elsewhere.
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  const [, program = ''] = process.argv
  const output = execFileSync('unshare', ['--mount', '--net', process.execPath, program, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...env, [MARK]: '1', TSNET_DAEMON: 'off' },
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  return JSON.parse(output.trim().split('\n').at(-1) ?? '')
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
