/** How a process that answers one call begins what must not be left half done, and hands its answer over. */

import { messageOf } from '../model/errors.ts'
import { writeStdout } from './stdin.ts'

/** A runtime that is stopped takes its children along; what takes something down goes on all the same. */
export async function finishWhatIsBegun(): Promise<void> {
  try {
    const { ignoreSignals } = await import('../ffi/signals.ts')
    ignoreSignals('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE')
  } catch {
    // Without libc nothing can be begun, as the answer will say.
  }
}

/** False where nobody listens any more: what was asked is done, but the caller does not know. */
export function deliver(stdout: string): boolean {
  try {
    writeStdout(stdout)
    return true
  } catch (thrown) {
    process.stderr.write(`tsnet: stdout: ${messageOf(thrown)}\n`)
    return false
  }
}
