/**
 * Holds the layer table of docs/architecture.md against the sources: an import only points down, parts
 * never import each other, and each package has one door.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import { layers } from './support/layers.ts'

/** The only file that may import a package. */
const doors: Record<string, string> = {
  koffi: 'ffi/ffi.ts',
  'ip-num': 'model/address.ts',
  commander: 'cli/cli.ts',
  leven: 'model/nearest.ts',
  ndjson: 'control/control.ts',
  'smol-toml': 'runtime/toml.ts',
}

const heightOf = (folder: string) => layers.findIndex(row => row.includes(folder))
const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))

function importsOf(file: string): string[] {
  const text = readFileSync(join('src', file), 'utf8')
  // Not in examples, which stand in comments.
  return [...text.matchAll(/^(?! \*).*?(?:from|import)\s*\(?\s*'([^']+)'/gm)].map(match => match[1] ?? '')
}

t.test('every folder has its place in the layer table', async t => {
  for (const file of sources) t.ok(heightOf(file.split('/')[0] ?? '') >= 0, file)
})

t.test('an import only points down', async t => {
  for (const file of sources) {
    const from = file.split('/')[0] ?? ''
    for (const imported of importsOf(file).filter(name => name.startsWith('.'))) {
      const target = relative('.', join(dirname(file), imported))
      const to = target.split('/')[0] ?? ''
      if (from !== to) t.ok(heightOf(to) < heightOf(from), `${file} → ${target}`)
    }
  }
})

t.test('each package is imported through one door', async t => {
  for (const file of sources) {
    for (const name of importsOf(file).filter(name => !name.startsWith('.') && !name.startsWith('node:'))) {
      t.equal(doors[name], file, `${file} imports ${name}`)
    }
  }
})

t.test('every folder of src has its title file', async t => {
  for (const folder of new Set(sources.map(file => file.split('/')[0] ?? ''))) {
    const title = folder === 'model' ? 'network' : folder
    t.ok(sources.includes(`${folder}/${title}.ts`), `src/${folder}/${title}.ts`)
  }
})
