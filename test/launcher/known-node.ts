/**
 * Which options Node is started with by the launcher in C, and what V8 has for them. A node that tells its words
 * stands first in PATH.
 */

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'

const isProgram = !readFileSync('dist/bin/tsnet', 'latin1').startsWith('#!')
const OPTION = '--no-rehash-snapshot'

/** A folder of executables as `npm run build` makes it, and another with a node. */
function machine(t: Test) {
  const folder = t.testdir({ bin: {}, first: {}, second: {} })
  cpSync('dist/bin/tsnet', join(folder, 'bin/tsnet'))
  const node = join(folder, 'second/node')
  const install = (text: string) => {
    writeFileSync(node, `#!/bin/sh\n# ${text}\necho "$@"\n`)
    chmodSync(node, 0o755)
  }
  install('of the build')
  const record = join(folder, 'bin/known-node')
  const know = (path: string) => {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true })
    writeFileSync(record, `${ino} ${size} ${mtimeNs}\n`)
  }
  know(node)
  /** What Node is told. */
  const started = (env: Record<string, string>, ...words: string[]) => {
    const PATH = `${folder}/none:${folder}/first:${folder}/second:/usr/bin:/bin`
    const { stdout } = spawnSync(join(folder, 'bin/tsnet'), words, {
      env: { PATH, ...env },
      encoding: 'utf8',
    })
    return stdout.replace(`${folder}/bin/`, '').trim()
  }
  return { folder, node, install, record, know, started }
}

const call = { CNI_COMMAND: 'VERSION', TSNET_DAEMON: 'off' }

if (isProgram) {
  t.test('a call is started with an option by which Node starts sooner, and nothing else is', async t => {
    const { started } = machine(t)
    t.equal(started(call), `${OPTION} tsnet.cjs tsnet`)
    t.equal(started({ TSNET_DAEMON: 'off' }, 'ports'), 'tsnet.cjs tsnet ports')
    t.equal(started({}, '--version'), 'tsnet.cjs tsnet --version')
    t.match(started({}, 'daemon'), /^--max-semi-space-size=1 tsnet.cjs tsnet daemon$/)
  })

  t.test('a Node that is not the one of the build gets no option, as it may not know it', async t => {
    const { install, node, know, started } = machine(t)
    install('an update')
    t.equal(started(call), 'tsnet.cjs tsnet')
    know(node)
    t.equal(started(call), `${OPTION} tsnet.cjs tsnet`)
    rmSync(node)
    t.notMatch(started(call), OPTION, 'another that stands further behind')
  })

  t.test('it is the first node of PATH that counts', async t => {
    const { folder, node, started } = machine(t)
    mkdirSync(join(folder, 'first/node'))
    t.equal(started(call), `${OPTION} tsnet.cjs tsnet`, 'a folder is none')
    rmSync(join(folder, 'first/node'), { recursive: true })
    cpSync(node, join(folder, 'first/node'))
    t.equal(started(call), 'tsnet.cjs tsnet', 'a copy is another')
    chmodSync(join(folder, 'first/node'), 0o644)
    t.equal(started(call), `${OPTION} tsnet.cjs tsnet`, 'what cannot be executed is none')
  })

  t.test('without a record, or with one that is none, Node is started as it is', async t => {
    const { record, started } = machine(t)
    for (const text of ['', '1 2\n', 'node\n', '-1 -1 -1\n', `${'9'.repeat(40)} 1 1\n`]) {
      writeFileSync(record, text)
      t.equal(started(call), 'tsnet.cjs tsnet', JSON.stringify(text))
    }
    rmSync(record)
    t.equal(started(call), 'tsnet.cjs tsnet')
  })

  t.test('the Node of this build is known, and a call is answered by it', async t => {
    const { ino, size, mtimeNs } = statSync(process.execPath, { bigint: true })
    t.equal(readFileSync('dist/bin/known-node', 'utf8'), `${ino} ${size} ${mtimeNs}\n`)
    const { status, stdout } = spawnSync('dist/bin/tsnet', {
      env: { ...process.env, ...call },
      encoding: 'utf8',
    })
    t.equal(status, 0)
    t.match(JSON.parse(stdout), { cniVersion: '1.1.0' })
  })
}

const { arch, versions } = process
const suffix = `.${arch}-${versions.v8}`

/** Files of one door under one set of options, and whether V8 takes them. */
function isTaken(door: string, options: string[], madeUnder: string[]): boolean {
  const program = `
    const { readFileSync } = require('node:fs')
    const cachedData = readFileSync(${JSON.stringify(`dist/bundle/${door}${suffix}${madeUnder.join('')}.bytecode`)})
    const source = readFileSync(${JSON.stringify(`dist/bundle/${door}.cjs`)}, 'latin1')
    console.log(new (require('node:vm').Script)(source, { cachedData }).cachedDataRejected)`
  const { stdout, stderr } = spawnSync(process.execPath, [...options, '-e', program], { encoding: 'utf8' })
  if (stderr !== '') throw new Error(stderr)
  return stdout === 'false\n'
}

t.test('V8 takes every compiled form under the options that its name tells, and under no others', async t => {
  const forms = readdirSync('dist/bundle').filter(name => name.endsWith('.bytecode'))
  t.ok(forms.length > 0)
  for (const name of forms) {
    const [door = '', made = ''] = name.replace(/\.bytecode$/, '').split(suffix)
    const options = made === '' ? [] : [made]
    t.ok(isTaken(door, options, options), name)
  }
  t.notOk(isTaken('cli', ['--max-semi-space-size=1'], []))
  t.notOk(isTaken('cni', [OPTION], []))
})

t.test('there is one for each way in which the launcher starts Node', async t => {
  const names = readdirSync('dist/bundle')
  t.ok(names.includes(`cli${suffix}--max-semi-space-size=1.bytecode`))
  for (const door of names.filter(name => /^cni.*\.cjs$/.test(name)).map(name => name.slice(0, -4))) {
    t.ok(names.includes(`${door}${suffix}.bytecode`), door)
    if (isProgram) t.ok(names.includes(`${door}${suffix}${OPTION}.bytecode`), door)
  }
})
