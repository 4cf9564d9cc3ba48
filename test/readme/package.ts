/**
 * What npm makes of this project for others: by `npm pack`, and as a dependency by git.
 *
 *     copy of the sources ──npm pack──▶ tsnet-0.1.0.tgz ──npm install──▶ a project that uses it
 *                         └──git───────────────────────npm install──▶ another one
 */

import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import t, { type Test } from 'tap'

t.setTimeout(600_000)

const { NODE_EXTRA_CA_CERTS: _, CNI_COMMAND: __, ...environment } = process.env

/** Runs a command to its end. @returns what it said */
const run = (cwd: string, env: Record<string, string>, program: string, ...args: string[]): string =>
  execFileSync(program, args, {
    cwd,
    env: { ...environment, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })

/** The files that git tracks or would, in a folder of their own. */
function copyOfSources(to: string): void {
  const files = run('.', {}, 'git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard')
  for (const file of files.split('\0').filter(name => name !== '' && existsSync(name))) {
    mkdirSync(dirname(join(to, file)), { recursive: true })
    cpSync(file, join(to, file))
  }
}

function folder(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'tsnet-package-'))
  t.teardown(() => rmSync(made, { recursive: true, force: true }))
  return made
}

/** A project that depends on tsnet as `what` says. */
function userOf(at: string, what: string): string {
  mkdirSync(at)
  writeFileSync(join(at, 'package.json'), '{ "name": "user", "version": "1.0.0", "type": "module" }\n')
  run(at, {}, 'npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', what)
  return at
}

/** All that a user of the package may call. */
async function works(t: Test, user: string): Promise<void> {
  const own = join(user, 'node_modules/tsnet')
  t.match(run(user, {}, 'npx', '--no-install', 'tsnet', '--version'), /^\d+\.\d+\.\d+\n$/)
  t.match(run(user, {}, 'npx', '--no-install', 'tsnet', 'demo'), /nothing of that was left/)
  for (const name of ['bridge', 'portmap']) {
    const answer = JSON.parse(run(user, { CNI_COMMAND: 'VERSION' }, join(own, 'dist/drop-in', name)))
    t.ok(answer.supportedVersions.includes('1.1.0'), name)
  }
  t.ok(existsSync(join(own, 'docs/cli-reference.md')))
  t.ok(existsSync(join(own, 'conf/ports.conflist')))
  const examples = [...readFileSync('docs/lab.md', 'utf8').matchAll(/^```js\n(.*?)^```/gms)]
  t.ok(examples.length > 1)
  for (const [i, [, code = '']] of examples.entries()) {
    writeFileSync(join(user, `example-${i}.js`), code)
    run(user, {}, 'node', `example-${i}.js`)
  }
  types(user, examples[0]?.[1] ?? '')
}

/** The first example as TypeScript, with nothing skipped. */
function types(user: string, example: string): void {
  writeFileSync(join(user, 'example.mts'), example)
  const options = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node']
  const roots = ['--typeRoots', resolve('node_modules/@types')]
  run(user, {}, resolve('node_modules/.bin/tsc'), ...options, ...roots, 'example.mts')
}

t.test('what npm packs has the command, the drop-ins, the docs and the lab with its types', async t => {
  const at = folder(t)
  copyOfSources(join(at, 'sources'))
  symlinkSync(resolve('node_modules'), join(at, 'sources/node_modules'))
  const [packed = ''] = run(join(at, 'sources'), {}, 'npm', 'pack', '--silent').trim().split('\n').slice(-1)
  const user = userOf(join(at, 'user'), join(at, 'sources', packed))
  await works(t, user)

  const bin = join(user, 'node_modules/tsnet/dist/bin')
  t.match(
    readFileSync(join(bin, 'tsnet'), 'latin1'),
    /^#!/,
    'what runs on every processor is what is executed',
  )
  const root = join(at, 'root')
  mkdirSync(root)
  run(user, {}, 'npx', '--no-install', 'tsnet', 'install', '--root', root, '--init', 'none')
  const link = run(at, {}, 'readlink', join(root, 'opt/cni/bin/tsnet')).trim()
  const program = join(bin, `launch-${process.arch}`)
  t.equal(link, existsSync(program) ? program : join(bin, 'tsnet'))
  t.match(run(user, {}, link, '--version'), /^\d/)
})

t.test('as a dependency by git npm builds it', async t => {
  const at = folder(t)
  const sources = join(at, 'sources')
  copyOfSources(sources)
  run(sources, {}, 'git', 'init', '--quiet')
  run(sources, {}, 'git', 'add', '--all')
  run(
    sources,
    {},
    'git',
    '-c',
    'user.name=t',
    '-c',
    'user.email=t@example.org',
    'commit',
    '--quiet',
    '-m',
    'all',
  )
  await works(t, userOf(join(at, 'user'), `git+file://${sources}`))
})

t.test(
  'in a clone of somebody who works there npm install builds nothing, and what is typed next does',
  async t => {
    const at = folder(t)
    copyOfSources(at)
    run(at, {}, 'npm', 'run', 'prepare')
    t.notOk(existsSync(join(at, 'dist')))
  },
)
