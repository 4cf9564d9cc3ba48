/** The process around the plugin: descriptors, signals and the exit code. */

import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { messageOf } from '../model/errors.ts'
import { answer, type Operations } from './cni.ts'
import { readStdin, readStdinIfPiped, writeStdout } from './stdin.ts'

const { env, argv } = process
const command = env.CNI_COMMAND

let leave: (status: number) => void = process.exit
void run()

async function run(): Promise<void> {
  if (command === 'DEL' || command === 'GC') await finishWhatIsBegun()
  const { stdout, exitCode } = await answer({
    env,
    calledAs: basename(argv[1] ?? ''),
    readStdin: command === 'VERSION' ? readStdinIfPiped : readStdin,
    operations,
  })
  leave(deliver(stdout) ? exitCode : 1)
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

async function operations(): Promise<Operations> {
  const operations = await (daemonMayRun()
    ? import('../control/held-ports.ts')
    : import('../network/network.ts'))
  // libc is loaded now. Its exit spares Node taking itself apart, for 2 ms that nobody needs.
  const { libc } = await import('../ffi/ffi.ts')
  leave = status => libc._exit(status)
  return operations
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
