// Makes dist/bin/tsnet and what it loads: one file for each front door, since a CNI call pays for every
// file that Node has to find and read.

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'

await build({
  entryPoints: { cni: 'src/cni/main.ts', cli: 'src/cli/main.ts' },
  outdir: 'dist/bundle',
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  external: ['koffi'],
  legalComments: 'none',
  logLevel: 'warning',
})

mkdirSync('dist/bin', { recursive: true })
// Without this, Node would take the files for ES modules, as package.json says of ours.
for (const folder of ['bin', 'bundle'])
  writeFileSync(`dist/${folder}/package.json`, '{ "type": "commonjs" }\n')
writeFileSync(
  'dist/bin/tsnet',
  `#!/usr/bin/env node
'use strict'
require(process.env.CNI_COMMAND ? '../bundle/cni.cjs' : '../bundle/cli.cjs')
`,
)
chmodSync('dist/bin/tsnet', 0o755)
