/** The process around the command: arguments, streams and the exit code. */

import { run } from './cli.ts'
import { terminalOf } from './terminal.ts'

run(process.argv.slice(2), terminalOf(process)).then(code => {
  process.exitCode = code
})
