// Makes files of what tests start often, since Node takes longer to read many: tap, some 400 files, at the start of each of
// them, and ip-num, as the product has it (Node looks in dist/node_modules first); and the program that calls src/nat in a
// host.

import { mkdirSync, writeFileSync } from 'node:fs'
import { build } from 'esbuild'
import { quickIpNum } from './quick-ip-num.js'

const options = { bundle: true, platform: 'node', target: 'node20', format: 'esm', logLevel: 'error' }
for (const name of ['tap', 'ip-num']) {
  const folder = `dist/node_modules/${name}`
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}/package.json`, JSON.stringify({ name, type: 'module', exports: './index.js' }))
  const names = Object.keys(await import(name)).filter(each => /^\w+$/.test(each))
  await build({
    ...options,
    stdin: { contents: `export { ${names.join(', ')} } from '${name}'`, resolveDir: '.' },
    outfile: `${folder}/index.js`,
    plugins: [{ name: 'quick-ip-num', setup: quickIpNum }],
    // What is no module asks for others at run time.
    banner: {
      js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url)",
    },
  })
}
const call = 'dist/lib/test/support/nat-call.js'
await build({
  ...options,
  entryPoints: [call],
  outfile: call,
  allowOverwrite: true,
  minifyWhitespace: true,
  packages: 'external',
})
