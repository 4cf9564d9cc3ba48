/** The process around the plugin: descriptors, signals and the exit code. */

import { deliver, finishWhatIsBegun } from '../cni/delivery.ts'
import { readStdin } from '../cni/stdin.ts'
import { exit } from '../ffi/exit.ts'
import { hostOf } from '../networks/places.ts'
import { answer } from './netavark.ts'

const words = process.argv.slice(2)

void run()

async function run(): Promise<void> {
  if (words[0] === 'teardown') await finishWhatIsBegun()
  const { stdout, exitCode } = await answer({ words, readStdin, host: hostOf(process.env) })
  exit.now(deliver(stdout) ? exitCode : 1)
}
