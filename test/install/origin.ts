import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { linkTarget } from '../../src/install/origin.ts'

/** A folder like dist/bin, below a path. */
function bin(below: string, files: Record<string, string>): string {
  mkdirSync(below, { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(below, name), text)
  return join(below, 'tsnet')
}

t.test('what was built here is linked to as it is', async t => {
  const tsnet = bin(t.testdir(), { tsnet: '\x7fELF', 'launch-x64': '\x7fELF' })
  t.equal(linkTarget(tsnet, 'x64'), tsnet)
})

t.test(
  'of a package the program for this processor is linked to, where there is one, else the script',
  async t => {
    const tsnet = bin(t.testdir(), { tsnet: '#!/usr/bin/env node\n', 'launch-x64': '\x7fELF' })
    t.match(linkTarget(tsnet, 'x64'), /\/launch-x64$/)
    t.equal(linkTarget(tsnet, 'arm64'), tsnet)
  },
)

t.test('what npx keeps in its cache is not installed, since npm may remove it', async t => {
  const tsnet = bin(join(t.testdir(), '.npm/_npx/1f2e3d/node_modules/tsnet/dist/bin'), { tsnet: '#!' })
  t.throws(() => linkTarget(tsnet), {
    code: 'invalid-environment',
    message: /npx's cache/,
    details: /npm install -g/,
  })
})
