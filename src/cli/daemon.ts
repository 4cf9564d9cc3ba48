/** `tsnet daemon`, and speaking to it. */

import { spawn } from 'node:child_process'
import { type ControlClient, connectControl } from '../control/client.ts'
import { runDaemon } from '../daemon/daemon.ts'
import { SETTINGS_FILE } from '../daemon/settings.ts'
import { TsnetError } from '../model/errors.ts'
import type { Terminal } from './terminal.ts'

/** Runs the daemon in the foreground; one line on stdout when it is ready, its log on stderr. */
export async function daemon(
  terminal: Terminal,
  { config = SETTINGS_FILE, replace = false }: { config?: string; replace?: boolean },
): Promise<void> {
  await runDaemon({
    settingsPath: config,
    replace,
    ready: line => terminal.out(`${line}\n`),
    log: line => terminal.error(`${line}\n`),
  })
}

/** How long a daemon that we start may take to serve what is written down. */
const START_WITHIN_MS = 20_000

/** The daemon that runs, or one that is started in the background. @throws TsnetError when it does not start */
export async function daemonAtHand(): Promise<ControlClient> {
  const running = await connectControl()
  if (running !== undefined) return running
  await startDaemon()
  const started = await connectControl()
  if (started === undefined) throw new TsnetError('io', 'the daemon started, but does not answer')
  return started
}

function startDaemon(): Promise<void> {
  const [, script = ''] = process.argv
  const child = spawn(process.execPath, [script, 'daemon'], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return new Promise((resolve, reject) => {
    let said = ''
    const timer = setTimeout(
      () => settle(new Error(`not ready after ${START_WITHIN_MS / 1000} s`)),
      START_WITHIN_MS,
    )
    const settle = (failure?: Error) => {
      clearTimeout(timer)
      // From here on it is on its own; its pipes must not keep us.
      for (const stream of [child.stdout, child.stderr]) stream.destroy()
      child.unref()
      if (failure === undefined) resolve()
      else reject(new TsnetError('io', `the daemon did not start: ${said.trim() || failure.message}`))
    }
    child.stdout.once('data', () => settle())
    child.stderr.on('data', chunk => {
      said += chunk
    })
    child.once('error', settle)
    child.once('exit', code => settle(new Error(`it ended with ${code}`)))
  })
}
