/**
 * Containers with lists of whom they may reach, and the same without one.
 *
 *     guest<n>  ── bridge<n> 10.9<n>.0.1 ── host ──┬─▶ upstream 10.99.0.1:53, which knows all names
 *     peer<n>   ──┘                                └─▶ outside 10.80.0.2
 *
 * All networks have one daemon, and differ in `egress.allow` alone. Peers may reach everybody.
 */

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measure } from '../meter/meter.ts'
import { callOf, networkOf, UPSTREAM } from '../names/calls.ts'
import { ip } from '../sandbox.ts'

export const OUTSIDE = '10.80.0.2'
const AT_OUTSIDE = '10.80.0.1'

/** One container on a network of its own. */
export interface Guest {
  netns: string
  /** Its network's gateway, which tells names. */
  server: string
}

/** A plugin's configuration. @param allow absent: everybody */
export const networkWith = (n: number, allow?: readonly string[]): object => ({
  ...networkOf(n, true),
  ...(allow && { egress: { allow } }),
})

export const addressOf = (n: number, host: number): string => `10.9${n}.0.${host}`

/** @param allow absent: everybody @param name its namespace's is that and the network's number */
export function attach(n: number, allow?: readonly string[], name = 'guest'): Guest {
  const netns = `${name}${n}`
  ip('netns', 'add', netns)
  measure([{ steps: [callOf('ADD', netns, netns, networkWith(n, allow))] }])
  return { netns, server: addressOf(n, 1) }
}

/** Entries of which none meets another or means anybody who is there: addresses, and as many with a port. */
export const entries = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => {
    const address = `65.${i >> 12}.${(i >> 4) & 255}.${(i & 15) * 16}`
    return i % 2 === 0 ? address : `${address}:443`
  })

/** Programs in C, compiled, and gone with this process. @throws where there is no C compiler */
export function compile(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-egress-'))
  process.on('exit', () => rmSync(folder, { recursive: true }))
  const program = join(folder, 'program')
  execFileSync('cc', ['-O2', '-o', program, source])
  return program
}

/** Starts a program in a namespace. @returns ends it */
export function startIn(netns: string | undefined, ...words: string[]): () => void {
  const [file = '', ...rest] = [...(netns === undefined ? [] : ['ip', 'netns', 'exec', netns]), ...words]
  const child = spawn(file, rest, { stdio: ['ignore', 'ignore', 'inherit'] })
  return () => child.kill()
}

/** Whom the daemon asks: all names are there, each with an address of its own. */
export function startUpstream(): () => void {
  ip('address', 'add', `${UPSTREAM}/32`, 'dev', 'lo')
  return startIn(undefined, compile('bench/egress/upstream.c'), UPSTREAM)
}

/** Whom containers speak with by way of the host. */
export function makeOutside(): void {
  ip('netns', 'add', 'outside')
  ip('link', 'add', 'wan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', 'outside')
  ip('address', 'add', `${AT_OUTSIDE}/24`, 'dev', 'wan0')
  ip('link', 'set', 'wan0', 'up')
  for (const words of [
    ['link', 'set', 'lo', 'up'],
    ['link', 'set', 'eth0', 'up'],
    ['address', 'add', `${OUTSIDE}/24`, 'dev', 'eth0'],
  ])
    ip('-n', 'outside', ...words)
}
