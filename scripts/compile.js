// Stores what V8 makes of bundles beside them, so that it takes that instead of compiling:
//
//     node OPTIONS scripts/compile.js DOOR…            of Node as it is started with these options
//     node OPTIONS scripts/compile.js --used DOOR      of it what commands use that ask the host and change nothing
//
// V8 takes only what was made by itself, under the same options and for the same processor; so all of them are in the
// name, and src/launcher/tsnet.cjs looks for the one that it could take.

import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'

const { arch, versions, execArgv } = process
const isUsed = process.argv[2] === '--used'
for (const door of process.argv.slice(isUsed ? 3 : 2)) {
  const script = isUsed ? await used(`${door}.cjs`) : whole(`${door}.cjs`)
  writeFileSync(`${door}.${arch}-${versions.v8}${execArgv.join('')}.bytecode`, script.createCachedData())
}

/** All of it: what is not compiled here V8 would compile during a call. */
function whole(file) {
  setFlagsFromString('--no-lazy')
  const script = read(file)
  setFlagsFromString('--lazy')
  return script
}

/**
 * What V8 compiles while these are run. A command uses a tenth of all commands, and to read the compiled form of the
 * rest takes longer than to compile what is missing.
 */
async function used(file) {
  const script = read(file)
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-'))
  Object.assign(process.env, { TSNET_RUN_DIR: folder, TSNET_DAEMON: 'off' })
  for (const words of [['--help'], ['ports'], ['ps'], ['network', 'ls']]) {
    process.argv.splice(2, process.argv.length, ...words)
    script.runInThisContext()(createRequire(resolve(file)), {}, resolve(dirname(file)))
    await once(process, 'beforeExit')
    // Node asks no more where nothing waits.
    await setImmediate()
  }
  rmSync(folder, { recursive: true, force: true })
  process.exitCode = 0
  return script
}

function read(file) {
  return new Script(readFileSync(file, 'latin1'), { filename: file })
}
