/** Our daemon, for a benchmark. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

export interface Daemon {
  readonly pid: number
  stop(): Promise<void>
}

export interface Start {
  /** Of which build; absent: of this one. */
  program?: string
  /** Words to put before it, which become it. */
  before?: readonly string[]
}

/** Starts it and waits until it is ready. */
export async function startDaemon(
  env: Record<string, string>,
  { program = resolve('dist/bin/tsnet'), before = [] }: Start = {},
): Promise<Daemon> {
  const [file = '', ...words] = [...before, program, 'daemon']
  const child = spawn(file, words, {
    env: { ...process.env, ...env, TSNET_DAEMON: 'on' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [said] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [unknown]
  if (!String(said).includes('ready')) throw new Error(`the daemon did not start: ${said}`)
  child.stdout.resume()
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill()
      if (child.exitCode === null) await once(child, 'exit')
    },
  }
}
