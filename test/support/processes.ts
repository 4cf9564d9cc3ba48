/**
 * Node processes of a test, started all at once and awaited together.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

export interface Ended {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** Runs a program to its end. */
export function runProgram(
  program: string,
  args: string[],
  stdin = '',
  env?: NodeJS.ProcessEnv,
): Promise<Ended> {
  const child = spawn(program, args, { stdio: 'pipe', env: env ?? process.env })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text
    })
  }
  child.stdin.on('error', () => {})
  child.stdin.end(stdin)
  return new Promise((done, fail) => {
    child.on('error', fail)
    child.on('close', (code, signal) => done({ code, signal, ...output }))
  })
}

/** The compiled lease-worker.ts, as arguments of node. */
export const leaseWorker = (...args: string[]): string[] => [
  resolve('dist/lib/test/support/lease-worker.js'),
  ...args,
]

/** Returns once a docker-proxy serves, which it says on its descriptor 3. @throws Error with what it says instead */
export async function untilProxyServes(child: ChildProcess): Promise<void> {
  const status = child.stdio[3]
  if (status === null || status === undefined) throw new Error('no status pipe')
  const [said] = await once(status, 'data')
  if (String(said) !== '0\n') throw new Error(`docker-proxy: ${said}`)
}
