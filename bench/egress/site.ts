/**
 * Containers with lists of whom they may reach, and the same without one.
 *
 *     open<n>, listed<n>  ── bridge<n> 10.9<n>.0.1 ── host ──▶ upstream 10.99.0.1:53, which knows all names
 *
 * Both networks have one daemon, and differ in `egress.allow` alone.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measure } from '../meter/meter.ts'
import { callOf, networkOf, UPSTREAM } from '../names/calls.ts'
import { ip } from '../sandbox.ts'

/** One container on a network of its own. */
export interface Guest {
  netns: string
  /** Its network's gateway, which tells names. */
  server: string
}

/** @param allow absent: everybody */
export function attach(n: number, allow?: readonly string[]): Guest {
  const netns = `guest${n}`
  ip('netns', 'add', netns)
  const network = { ...networkOf(n, true), ...(allow && { egress: { allow } }) }
  measure([{ steps: [callOf('ADD', netns, netns, network)] }])
  return { netns, server: `10.9${n}.0.1` }
}

/** Programs in C, compiled, and gone with this process. @throws where there is no C compiler */
export function compile(source: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-egress-'))
  process.on('exit', () => rmSync(folder, { recursive: true }))
  const program = join(folder, 'program')
  execFileSync('cc', ['-O2', '-o', program, source])
  return program
}

/** Whom the daemon asks: all names are there, each with an address of its own. */
export function startUpstream(): () => void {
  ip('address', 'add', `${UPSTREAM}/32`, 'dev', 'lo')
  const server: ChildProcess = spawn(compile('bench/egress/upstream.c'), [UPSTREAM], { stdio: 'inherit' })
  return () => server.kill()
}
