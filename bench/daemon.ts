/** Our daemon, for a benchmark. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

/** Starts it and waits until it is ready. @returns ends it */
export async function startDaemon(env: Record<string, string>): Promise<() => Promise<void>> {
  const child = spawn(resolve('dist/bin/tsnet'), ['daemon'], {
    env: { ...process.env, ...env, TSNET_DAEMON: 'on' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [said] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [unknown]
  if (!String(said).includes('ready')) throw new Error(`the daemon did not start: ${said}`)
  child.stdout.resume()
  return async () => {
    child.kill()
    if (child.exitCode === null) await once(child, 'exit')
  }
}
