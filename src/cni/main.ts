/** The process around the plugin: descriptors, signals and the exit code. */

import { basename } from 'node:path'
import { exit } from '../ffi/exit.ts'
import { answer } from './cni.ts'
import { deliver, finishWhatIsBegun } from './delivery.ts'
import { operationsIn } from './operations.ts'
import { readStdin, readStdinIfPiped } from './stdin.ts'

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
