// Makes files of what tests start often, since Node takes longer to read many: tap, some 400 files, at the start of each of
// them (Node looks in dist/node_modules first), and the program that calls src/nat in a host.

import { mkdirSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'

const options = { bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'error' }
const tap = 'dist/node_modules/tap'
mkdirSync(tap, { recursive: true })
writeFileSync(`${tap}/package.json`, JSON.stringify({ name: 'tap', type: 'module', exports: './tap.js' }))
await build({
  ...options,
  entryPoints: ['tap'],
  outfile: `${tap}/tap.js`,
  // What is no module asks for others at run time.
  banner: {
    js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url)",
  },
})
const call = 'dist/lib/test/support/nat-call.js'
await build({ ...options, entryPoints: [call], outfile: call, allowOverwrite: true, packages: 'external' })
