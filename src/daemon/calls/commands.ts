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

import type { Asker } from '../../control/client.ts'
import type { Surroundings } from '../../model/surroundings.ts'
import { removeChoice } from '../../records/choices.ts'
import { runDirectory } from '../../records/run-directory.ts'
import { hasPathsOfItsOwn, type Outlet, outletOf } from './caller.ts'
import type { Asked } from './calls.ts'
import { onBehalfOf } from './on-behalf.ts'

/** Where a command writes, and what it knows of whoever reads that. */
export interface Streams {
  stdout: Stream
  stderr: Stream
  env: Record<string, string | undefined>
}

interface Stream extends Outlet {
  write(text: string): void
}

/** Does what the words of a command line say, for root. @param own answers for this daemon @returns the exit code */
export type RunCommand = (words: readonly string[], streams: Streams, own: Asker) => Promise<number>

/**
 * Does a command and sends what it said; does nothing where it could be another one in the caller's own process.
 * @param isEnding true from when this daemon ends: what fails then is for the caller to ask of another
 */
export async function handleCommand(
  asked: Asked,
  run: (words: readonly string[], streams: Streams) => Promise<number>,
  isEnding: () => boolean,
): Promise<void> {
  const { caller, isGone, send } = asked
  const { pid, words, env, sameView, directory, identity } = caller
  const isSameDaemon = (env.TSNET_RUN_DIR ?? runDirectory()) === runDirectory()
  if (!sameView || !isSameDaemon || !isForDaemon(words, env)) return
  const [out, error] = [outletOf(pid, 1), outletOf(pid, 2)]
  if (out === undefined || error === undefined || isGone()) return
  const said = { stdout: '', stderr: '' }
  const stream = (name: keyof typeof said, outlet: Outlet): Stream => ({
    ...outlet,
    write: text => {
      said[name] += text
    },
  })
  const streams = { stdout: stream('stdout', out), stderr: stream('stderr', error), env }
  const complain = streams.stderr.write
  const exitCode = await onBehalfOf({ env, directory, caller: identity, complain }, () => run(words, streams))
  if (exitCode !== 0 && isEnding()) return
  await send({ ...said, exitCode })
  // Only now: should we have died before, the caller goes on by it.
  if (words[0] === 'unpublish') removeChoice(identity)
}

/** What the daemon knows all of, or can look at in a moment. */
const COMMANDS: readonly string[] = ['publish', 'unpublish', 'ports', 'ps', 'ls', 'inspect']

/**
 * Options with which a command takes long (every record is read), does not end, or is about the caller's directory; help
 * is as wide as the terminal, which only the caller knows.
 */
const NOT_WITH = /^(-h|--help|--all|--watch|--conf-dir(=.*)?)$/

function isForDaemon([command = '', ...words]: readonly string[], env: Surroundings['env']): boolean {
  const isNot = words.some(word => NOT_WITH.test(word) && !(command === 'unpublish' && word === '--all'))
  return COMMANDS.includes(command) && !isNot && !hasPathsOfItsOwn(env)
}
