/** The process around the placeholder: arguments, signals and the exit code. */

import { VERSION } from '../model/version.ts'
import { runPlaceholder } from './docker-proxy.ts'

const ending = new Promise<void>(resolve => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve())
})

runPlaceholder(process.argv.slice(2), {
  version: VERSION,
  out: text => void process.stdout.write(text),
  error: text => void process.stderr.write(text),
  ending,
}).then(code => process.exit(code))
