/** The process around the command: arguments, streams and the exit code. */

import { run } from './cli.ts'
import { terminalOf } from './terminal.ts'

// Whoever read what we say is gone, and so is the reason to go on.
process.stdout.on('error', () => process.exit(1))

run(process.argv.slice(2), terminalOf(process)).then(code => {
  process.exitCode = code
})
