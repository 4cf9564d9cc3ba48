/**
 * Commands done by the daemon, for callers whose launcher asks it to: what only asks a daemon need not start Node
 * for that.
 *
 *     launcher ──call.sock──▶ calls.ts ──▶ the command's own code ──control.sock──▶ requests.ts
 *                             (protocol)   (cli/, handed in from above)
 *
 * It asks this daemon over the control socket as a process of its own does, so that everything is the same: its
 * errors, how long it waits, and what it hears when a successor takes over or the daemon ends. It begins nothing
 * itself, so whoever hands over need not wait for it.
 */

import { runDirectory } from '../records/run-directory.ts'
import { isTerminal } from './caller.ts'
import type { Asked } from './calls.ts'

/** Where a command writes, and what it knows of whoever reads that. */
export interface Streams {
  stdout: Stream
  stderr: Stream
  env: Record<string, string | undefined>
}

interface Stream {
  write(text: string): void
  isTTY: boolean
}

/** Does what the words of a command line say, for root. @returns the exit code */
export type RunCommand = (words: readonly string[], streams: Streams) => Promise<number>

/** Does a command and sends what it said; does nothing where it could be another one in the caller's own process. */
export async function handleCommand(asked: Asked, run: RunCommand): Promise<void> {
  const { caller, isGone, send } = asked
  const { pid, words, env, sameView } = caller
  const isSameDaemon = (env.TSNET_RUN_DIR ?? runDirectory()) === runDirectory()
  if (!sameView || !isSameDaemon || !isForDaemon(words)) return
  const [outIsTerminal, errorIsTerminal] = [isTerminal(pid, 1), isTerminal(pid, 2)]
  if (outIsTerminal === undefined || errorIsTerminal === undefined || isGone()) return
  const said = { stdout: '', stderr: '' }
  const stream = (name: keyof typeof said, isTTY: boolean): Stream => ({
    isTTY,
    write: text => {
      said[name] += text
    },
  })
  const streams = { stdout: stream('stdout', outIsTerminal), stderr: stream('stderr', errorIsTerminal), env }
  const exitCode = await run(words, streams)
  await send({ ...said, exitCode })
}

/** It asks nobody but the daemon. Help is as wide as the terminal, which only the caller knows. */
function isForDaemon([command = '', ...words]: readonly string[]): boolean {
  if (words.some(word => word === '-h' || word === '--help')) return false
  if (command === 'ports') return !words.includes('--all') && !words.includes('--watch')
  return command === 'publish' || command === 'unpublish'
}
