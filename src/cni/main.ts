/** The process around the plugin: descriptors, signals and the exit code. */

import { basename } from 'node:path'
import { exit } from '../ffi/exit.ts'
import { messageOf } from '../model/errors.ts'
import { answer } from './cni.ts'
import { operationsIn } from './operations.ts'
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
    operations: () => operationsIn(env),
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
