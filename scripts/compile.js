// Stores what V8 makes of bundles beside them, so that it takes that instead of compiling:
//
//     node OPTIONS scripts/compile.js DOOR…      of Node as it is started with these options
//
// V8 takes only what was made by itself, under the same options and for the same processor; so all of them are in the
// name, and src/launcher/tsnet.cjs looks for the one that it could take.

import { readFileSync, writeFileSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'

const { arch, versions, execArgv, argv } = process
for (const door of argv.slice(2)) {
  const script = compile(`${door}.cjs`)
  writeFileSync(`${door}.${arch}-${versions.v8}${execArgv.join('')}.bytecode`, script.createCachedData())
}

/** All of it: what is not compiled here V8 would compile during a call. */
function compile(file) {
  const source = readFileSync(file, 'latin1')
  setFlagsFromString('--no-lazy')
  const script = new Script(source, { filename: file })
  setFlagsFromString('--lazy')
  return script
}
