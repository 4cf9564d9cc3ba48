// Makes dist/bin/tsnet, what it loads, and the names by which it plays other roles (executables.js; `--portable` for a
// package). Where no daemon runs, a CNI call is a process of its own, so this is about its start:
//
//   one file for each front door     every file that Node looks for costs half a millisecond
//   one for each role of a plugin    with all roles in it, V8 takes 3 ms longer to read its compiled form
//   its compiled form beside it      V8 takes it instead of compiling (compile.js); calls and the daemon are started with
//                                    options of their own (src/launcher/launch.c), and have one for them, too
//   of the command what it uses      V8 takes 60 ms longer to read all of it
//   modules loaded at first use      node:crypto, node:net and node:child_process take 4 ms each
//   packages in files of their own   where most calls do without them
//   koffi's machine code beside it   loaded at once, where koffi's own search takes 8 ms
//   no tables of ip-num              it computes the ranges of special addresses when it is loaded, 14 ms
//   the table of nftables as bytes   it takes longer to make it of its text than all the rest of a call
//
// Each of them is left out where it does not fit, and the call takes longer.

import { spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { build } from 'esbuild'
import { roles } from '../dist/lib/src/cni/roles/roles.js'
import { baseMessages } from '../dist/lib/src/nat/nftables/base-messages.js'
import { writeExecutables } from './executables.js'
import { quickIpNum } from './quick-ip-num.js'

// What is made for a package runs on machines that this one knows nothing of.
const portable = process.argv.includes('--portable')
const doors = ['cni', 'cli', 'docker-proxy', 'netavark']
// Packages that most calls do without.
const packages = ['ip-num', 'ndjson', 'smol-toml']
const require = createRequire(import.meta.url)

/** A role's own file; `cni` has them all, for whoever is called by another name. */
const doorOf = role => `cni-${role}`

const options = {
  define: { 'import.meta.url': 'bundleUrl' },
  outdir: 'dist/bundle',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  minifyWhitespace: true,
  minifySyntax: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  plugins: [
    { name: 'lazily', setup: lazily },
    { name: 'quick-koffi', setup: quickKoffi },
    { name: 'quick-ip-num', setup: quickIpNum },
    { name: 'prepared-table', setup: preparedTable },
  ],
  legalComments: 'none',
  logLevel: 'warning',
}
await build({
  ...options,
  entryPoints: {
    ...Object.fromEntries(doors.map(door => [door, `src/${door}/main.ts`])),
    ...Object.fromEntries(packages.map(name => [name, name])),
    // Started by the daemon, as threads that load these files.
    'proxy-worker': 'src/proxy/worker/worker.ts',
    'dns-worker': 'src/dns/worker/worker.ts',
    'dns-front': 'src/dns/front/front.ts',
  },
})
for (const role of roles) {
  const plugins = [...options.plugins, { name: 'one-role', setup: building => withoutOthers(building, role) }]
  await build({ ...options, plugins, entryPoints: { [doorOf(role)]: 'src/cni/main.ts' } })
}
bringKoffi()
removeCompiled()
const calls = ['cni', ...roles.map(doorOf), 'netavark']
for (const door of [...doors, ...roles.map(doorOf)]) makeFunction(door)
compile([], [...calls, 'docker-proxy'])
compile([], ['cli'], ['--used'])
if (!portable) compile(['--no-rehash-snapshot'], calls)
compile(['--max-semi-space-size=1'], ['cli'])
writeExecutables({ portable })

/**
 * A module becomes an object whose members load it: one of Node's own, unless Node has loaded it in any
 * case, or a package in a file of its own.
 */
function lazily(building) {
  const filter = new RegExp(`^(${packages.join('|')}|node:.*)$`)
  building.onResolve({ filter }, ({ path, kind, namespace }) => {
    if (kind === 'entry-point' || ['node:fs', 'node:path'].includes(path)) return undefined
    return namespace === 'lazily' ? { path, external: true } : { path, namespace: 'lazily' }
  })
  building.onLoad({ filter: /./, namespace: 'lazily' }, ({ path }) => {
    const load = path.startsWith('node:') ? `require('${path}')` : `require(__dirname + '/${path}.cjs')`
    const members = Object.keys(require(path)).map(member => `get ${member}() { return ${load}.${member} }`)
    return { contents: `module.exports = {${members.join(',')}}`, resolveDir: '.' }
  })
}

/** The roles beside one are left out: nobody asks for them there. */
function withoutOthers(building, role) {
  building.onResolve({ filter: /-role\.ts$/ }, ({ path }) =>
    path.endsWith(`/${role}-role.ts`) ? undefined : { path, namespace: 'left-out' },
  )
  building.onLoad({ filter: /./, namespace: 'left-out' }, () => ({ contents: 'module.exports = {}' }))
}

/** koffi's addon is looked for beside the bundle, and only then through koffi. */
function quickKoffi(building) {
  building.onResolve({ filter: /^koffi$/ }, ({ namespace }) =>
    namespace === 'quick-koffi' ? { external: true } : { path: 'koffi', namespace: 'quick-koffi' },
  )
  building.onLoad({ filter: /./, namespace: 'quick-koffi' }, () => ({
    contents: `
      const addon = { exports: {} }
      try {
        process.dlopen(addon, __dirname + '/koffi.node')
      } catch {
        addon.exports = require('koffi')
      }
      module.exports = addon.exports`,
    resolveDir: '.',
  }))
}

/** Not into a package: it is of this machine's processor and C library. */
function bringKoffi() {
  rmSync('dist/bundle/koffi.node', { force: true })
  if (portable) return
  require('koffi')
  const addon = Object.keys(require.cache).find(path => path.endsWith('.node'))
  if (addon !== undefined) copyFileSync(addon, 'dist/bundle/koffi.node')
}

/** What all attachments share in nftables, with the subnets that most networks have. */
function preparedTable(building) {
  const parts = ['base', '4/16', '4/24', '6/64'].map(part => {
    const { bytes, count } = baseMessages(part)
    return [part, { bytes: Buffer.from(bytes).toString('base64'), count }]
  })
  building.onLoad({ filter: /\/nftables\/base-prepared\.ts$/ }, () => ({
    contents: `export const prepared = ${JSON.stringify(Object.fromEntries(parts))}`,
  }))
}

/** V8 knows a script again by its text, so what it is told of its surroundings are parameters. */
function makeFunction(door) {
  const file = `dist/bundle/${door}.cjs`
  const url = `const bundleUrl='file://'+encodeURI(__dirname)+'/${door}.cjs';`
  writeFileSync(file, `(function(require,module,__dirname){${url}${readFileSync(file, 'utf8')}\n})`)
}

/** For Node as it is started with these options. One that does not know them does without. */
function compile(options, names, how = []) {
  const files = names.map(door => `dist/bundle/${door}`)
  spawnSync(process.execPath, [...options, 'scripts/compile.js', ...how, ...files], { stdio: 'ignore' })
}

/** What another V8 made stays otherwise, when Node is upgraded. */
function removeCompiled() {
  for (const name of readdirSync('dist/bundle').filter(file => file.endsWith('.bytecode')))
    rmSync(`dist/bundle/${name}`)
}
