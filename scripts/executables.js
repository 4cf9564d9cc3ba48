// What people and runtimes execute, and the names by which it plays other roles, in one of two forms:
//
//                       for this machine                             for a package
//   dist/bin/tsnet      a C program where there is a compiler,       the script
//                       else the script
//   dist/bin/launch-*   -                                            the C program, by processor: `tsnet install` takes
//                                                                    it where it fits
//   dist/bin/known-node the Node that it was made by    -
//   dist/drop-in/*      links to dist/bin/tsnet                      scripts that ask it, since npm packs no links
//   dist/netavark/tsnet the same: podman's netavark_plugin_dirs may name the folder
//
// What npm makes by itself (`prepare`, `prepack`) is for a package; `npm run build` is for this machine.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { roles } from '../dist/lib/src/cni/roles/roles.js'

const BIN = 'dist/bin'
const DROP_INS = 'dist/drop-in'
const NETAVARK = 'dist/netavark'
const SCRIPT = 'launch.cjs'
const RECORD = `${BIN}/known-node`
const PROGRAM = `launch-${process.arch}`

// Without this, Node would take the scripts for ES modules, as package.json says of ours.
const COMMONJS = '{ "type": "commonjs" }\n'

/** Makes all of it; see src/launcher. */
export function writeExecutables({ portable }) {
  mkdirSync(BIN, { recursive: true })
  writeFileSync(`${BIN}/package.json`, COMMONJS)
  for (const name of ['tsnet.cjs', SCRIPT]) copyFileSync(`src/launcher/${name}`, `${BIN}/${name}`)
  chmodSync(`${BIN}/${SCRIPT}`, 0o755)
  for (const name of readdirSync(BIN).filter(name => name.startsWith('launch-'))) rmSync(`${BIN}/${name}`)
  rmSync(RECORD, { force: true })
  if (portable) {
    put('tsnet', copyScript)
    put(PROGRAM, made => compileLauncher(made, { anywhere: true }))
  } else {
    put('tsnet', made => compileLauncher(made) || copyScript(made))
    if (spawnSync(process.execPath, ['--no-rehash-snapshot', '--version']).status === 0) recordNode()
  }
  // A folder that can stand in CNI_PATH before the reference's: their names, all of them us.
  writeNames(DROP_INS, [...roles.filter(role => role !== 'tsnet'), 'docker-proxy'], { portable })
  writeNames(NETAVARK, ['tsnet'], { portable })
}

/** By what the launcher in C tells whether it is still the same (src/launcher/known-node.c). */
function recordNode() {
  const { ino, size, mtimeNs } = statSync(process.execPath, { bigint: true })
  writeFileSync(RECORD, `${ino} ${size} ${mtimeNs}\n`)
}

/** Made beside and renamed: somebody may be executing the old one. */
function put(name, make) {
  const made = `${BIN}/${name}.new`
  if (!make(made)) return
  chmodSync(made, 0o755)
  renameSync(made, `${BIN}/${name}`)
}

function copyScript(made) {
  copyFileSync(`src/launcher/${SCRIPT}`, made)
  return true
}

/**
 * Without shared libraries, where the C library allows it: they take a third of the time to start, and another machine
 * may have others.
 */
function compileLauncher(made, { anywhere = false } = {}) {
  const sources = readdirSync('src/launcher').filter(name => name.endsWith('.c'))
  const files = sources.map(name => `src/launcher/${name}`)
  const compile = (...options) =>
    spawnSync('cc', ['-Os', '-s', ...options, '-o', made, ...files], { stdio: 'ignore' }).status === 0
  return compile('-static') || (!anywhere && compile())
}

/** A folder with the executable under other names. */
function writeNames(folder, names, { portable }) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  if (portable) writeFileSync(`${folder}/package.json`, COMMONJS)
  // Its part for a shell.
  const [head] = readFileSync(`src/launcher/${SCRIPT}`, 'utf8').split(/(?<=\n\*\/\n)/)
  for (const name of names) {
    const path = `${folder}/${name}`
    if (!portable) symlinkSync('../bin/tsnet', path)
    else writeFileSync(path, `${head}require('../bin/${SCRIPT}')\n`, { mode: 0o755 })
  }
}
