/** `tsnet daemon`, and speaking to it. */

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ControlClient, connectControl } from '../control/client.ts'
import { runDaemon } from '../daemon/daemon.ts'
import { SETTINGS_FILE } from '../daemon/settings.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import { runDirectory } from '../network/state.ts'
import { executable } from './executable.ts'
import type { Terminal } from './terminal.ts'

/** Runs the daemon in the foreground; one line on stdout when it is ready, its log on stderr. */
export async function daemon(
  terminal: Terminal,
  { config = SETTINGS_FILE, replace = false }: { config?: string; replace?: boolean },
): Promise<void> {
  // Whoever started it in the background has left; its log then has no reader, which is no reason to end.
  process.stderr.on('error', () => {})
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
  // Another call may start one at the same time; ours then finds that it is not alone.
  const failure = await startDaemon().catch((thrown: unknown) => thrown)
  const started = await connectControl()
  if (started !== undefined) return started
  throw failure ?? new TsnetError('io', 'the daemon started, but does not answer')
}

/** In the run directory: what a daemon says that was started by the way. */
const LOG = 'daemon.log'

async function startDaemon(): Promise<void> {
  mkdirSync(runDirectory(), { recursive: true, mode: 0o700 })
  const path = join(runDirectory(), LOG)
  // Not a pipe: that would break when we end, and the daemon with the next line that it writes.
  const log = openSync(path, 'w', 0o600)
  const child = spawn(executable(), ['daemon'], {
    detached: true,
    stdio: ['ignore', 'pipe', log],
  })
  closeSync(log)
  try {
    await firstLine(child)
  } catch (cause) {
    const said = readFileSync(path, 'utf8').trim()
    throw new TsnetError('io', `the daemon did not start: ${said || messageOf(cause)}`, { cause })
  } finally {
    // From here on it is on its own.
    child.stdout?.destroy()
    child.unref()
  }
}

function firstLine(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = new Error(`not ready after ${START_WITHIN_MS / 1000} s`)
    setTimeout(() => reject(late), START_WITHIN_MS).unref()
    child.stdout?.once('data', () => resolve())
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`it ended with ${code}`)))
  })
}
