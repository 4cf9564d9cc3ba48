/** The process around the plugin: descriptors, signals and the exit code. */

import { readStdin, writeStdout } from '../cni/stdin.ts'
import { exit } from '../ffi/exit.ts'
import { messageOf } from '../model/errors.ts'
import { hostOf } from '../networks/places.ts'
import { answer } from './netavark.ts'

const words = process.argv.slice(2)

void run()

async function run(): Promise<void> {
  if (words[0] === 'teardown') await finishWhatIsBegun()
  const { stdout, exitCode } = await answer({ words, readStdin, host: hostOf(process.env) })
  exit.now(deliver(stdout) ? exitCode : 1)
}

/** podman that is stopped takes its children along; what takes something down goes on all the same. */
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
