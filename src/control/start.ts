/**
 * Starts a daemon in the background for whoever needs one. Of any number that need it at the same time, one
 * starts it, and the others wait for that (`start.lock`): two hundred processes of Node at once would take
 * longer than anybody waits. Where it does not start, all of them have waited for one attempt.
 *
 * It has nothing of its starter's: no descriptor, of the environment what means something to it, a session of its
 * own, and `/` to stand in. Out of the starter's control group it goes itself (daemon/control-group.ts).
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { keepFromChildren } from '../ffi/fd.ts'
import { messageOf, TsnetError } from '../model/errors.ts'
import { whileLocked } from '../records/records.ts'
import { makeRunDirectory, runDirectory } from '../records/run-directory.ts'
import { type ControlClient, connectControl } from './client.ts'
import { executable } from './executable.ts'

/** How long a daemon that we start may take to serve what is written down. */
const START_WITHIN_MS = 20_000

/** A daemon that somebody needed ends when nobody has for so long. */
export const IDLE = '1m'

/** What means something to a daemon. NOTIFY_SOCKET, say, speaks of the process that we were started by. */
const INHERITED =
  /^(PATH|HOME|LANG|TSNET_(?!WORKS_FOR$)\w+|XTABLES_LOCKFILE|DOCKER_HOST|CONTAINER_HOST|CONTAINERD_ADDRESS|CONTAINERS_STORAGE_CONF)$/

/**
 * The daemon that runs, or one that is started in the background.
 * @param withinMs how long it may take to start, where we start it; it goes on if it takes longer
 * @throws TsnetError when it does not start
 */
export async function daemonAtHand(withinMs = START_WITHIN_MS): Promise<ControlClient> {
  makeRunDirectory()
  const running = await connectControl()
  if (running !== undefined) return running
  const asked = Date.now()
  return await whileLocked('start', async () => {
    const meanwhile = await connectControl()
    if (meanwhile !== undefined) return meanwhile
    const said = failureSince(asked)
    if (said !== undefined) throw notStarted(said)
    // Somebody may start one by hand at the same time; ours then finds that it is not alone.
    const failure = await startDaemon(withinMs).catch((thrown: unknown) => thrown)
    const started = await connectControl()
    if (started !== undefined) return started
    throw failure ?? new TsnetError('io', 'the daemon started, but does not answer')
  })
}

/** In the run directory: what a daemon says that was started by the way. */
export const LOG = 'daemon.log'

/** Ends the log of a daemon that did not start. */
const FAILED = 'it did not start\n'

/** The kernel dates files by its last tick. */
const TICK_MS = 10

/** What a daemon said that somebody else tried to start since then, in vain. */
export function failureSince(time: number): string | undefined {
  const path = join(runDirectory(), LOG)
  const { mtimeMs } = statSync(path, { throwIfNoEntry: false }) ?? {}
  if (mtimeMs === undefined || mtimeMs < time - TICK_MS) return undefined
  const text = readFileSync(path, 'utf8')
  return text.endsWith(FAILED) ? withoutName(text.slice(0, -FAILED.length).trim()) : undefined
}

const notStarted = (said: string, cause?: unknown) =>
  new TsnetError('io', `the daemon did not start: ${withoutName(said)}`, { cause })

const withoutName = (said: string): string => said.replace(/^tsnet: /gm, '')

async function startDaemon(withinMs: number): Promise<void> {
  const path = join(runDirectory(), LOG)
  keepFromChildren()
  // Not a pipe: that would break when we end, and the daemon with the next line that it writes.
  const log = openSync(path, 'w', 0o600)
  const child = spawn(executable(), ['daemon', '--idle', IDLE], {
    cwd: '/',
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => INHERITED.test(name))),
    detached: true,
    stdio: ['ignore', 'pipe', log],
  })
  closeSync(log)
  try {
    await firstLine(child, withinMs)
  } catch (cause) {
    const said = readFileSync(path, 'utf8').trim()
    appendFileSync(path, said === '' ? `${messageOf(cause)}\n${FAILED}` : FAILED)
    throw notStarted(said || messageOf(cause), cause)
  } finally {
    // From here on it is on its own.
    child.stdout?.destroy()
    child.unref()
  }
}

function firstLine(child: ChildProcess, withinMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = new Error(`not ready after ${withinMs / 1000} s`)
    setTimeout(() => reject(late), withinMs).unref()
    child.stdout?.once('data', () => resolve())
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`it ended with ${code}`)))
  })
}
