/** The process around the plugin: descriptors, signals and the exit code. */

import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { exit } from '../ffi/exit.ts'
import { messageOf } from '../model/errors.ts'
import { answer } from './cni.ts'
import type { Operations } from './plugin.ts'
import { readStdin, readStdinIfPiped, writeStdout } from './stdin.ts'

const { env, argv } = process
const command = env.CNI_COMMAND

void run()

async function run(): Promise<void> {
  if (command === 'DEL' || command === 'GC') await finishWhatIsBegun()
  const { stdout, exitCode } = await answer({
    env,
    calledAs: basename(argv[1] ?? ''),
    readStdin: command === 'VERSION' ? readStdinIfPiped : readStdin,
    operations,
  })
  exit.now(deliver(stdout) ? exitCode : 1)
}

/** A runtime that is stopped takes its children along; these two calls go on all the same. */
async function finishWhatIsBegun(): Promise<void> {
  try {
    const { ignoreSignals } = await import('../ffi/signals.ts')
    ignoreSignals('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE')
  } catch {
    // Without libc nothing can be begun, as the answer will say.
  }
}

// A function, not a constant: it is asked for before the constants below `run` have their values.
function operations(): Promise<Operations> {
  return daemonMayRun() ? import('../control/held-ports.ts') : import('../network/network.ts')
}

/** Asked before anything is loaded for it. */
function daemonMayRun(): boolean {
  return env.TSNET_DAEMON !== 'off' && existsSync(`${env.TSNET_RUN_DIR ?? '/run/tsnet'}/control.sock`)
}

/** False where nobody listens any more: what was asked is done, but the caller does not know. */
function deliver(stdout: string): boolean {
  try {
    writeStdout(stdout)
    return true
  } catch (thrown) {
    process.stderr.write(`tsnet: stdout: ${messageOf(thrown)}\n`)
    return false
  }
}
