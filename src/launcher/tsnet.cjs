// Node's side of the launcher: `node tsnet.cjs NAME ARGUMENT…` loads the front door that is called for.
'use strict'
const { existsSync, readFileSync } = require('node:fs')
const { Script } = require('node:vm')

// As if NAME had been executed itself.
const [, , name, ...rest] = process.argv
process.argv.splice(1, process.argv.length, `${__dirname}/${name}`, ...rest)

const folder = `${__dirname}/../bundle`
const door = folder + doorOf(name)

/** A plugin's own role, where that is what it is called by; otherwise its configuration says which. */
function doorOf(name) {
  if (name === 'docker-proxy') return '/docker-proxy'
  if (!process.env.CNI_COMMAND) return isNetavarks(rest) ? '/netavark' : '/cli'
  return existsSync(`${folder}/cni-${name}.cjs`) ? `/cni-${name}` : '/cni'
}

/** What netavark starts its plugins with, as in launch.c. */
function isNetavarks([word, ...more]) {
  return { create: 0, setup: 1, teardown: 1, info: 0 }[word] === more.length
}

// V8 takes only what was made under the same options (scripts/compile.js).
const { arch, execArgv, versions } = process
let cachedData
try {
  cachedData = readFileSync(`${door}.${arch}-${versions.v8}${execArgv.join('')}.bytecode`)
} catch {}
// esbuild writes ASCII, which is read fastest as this.
const source = readFileSync(`${door}.cjs`, 'latin1')
const script = new Script(source, { filename: `${door}.cjs`, cachedData })
script.runInThisContext()(require, module, folder)
