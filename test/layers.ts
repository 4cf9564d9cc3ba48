/**
 * Holds the layer table of docs/architecture.md against the sources: an import only points down, parts
 * never import each other, no file comes back to itself, each package has one door, and each folder one story.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import t from 'tap'
import { layers, siblings } from './support/layers.ts'

/** The only file that may import a package. */
const doors: Record<string, string> = {
  koffi: 'ffi/ffi.ts',
  'ip-num': 'model/address/address.ts',
  commander: 'cli/command.ts',
  leven: 'model/nearest.ts',
  ndjson: 'control/control.ts',
  'smol-toml': 'runtime/toml.ts',
  uplot: 'graph/browser/traffic.ts',
}

/** A folder with more tells more than one story. */
const FILES_MAX = 19

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
      const target = targetOf(file, imported) ?? ''
      const to = target.split('/')[0] ?? ''
      if (from !== to) t.ok(heightOf(to) < heightOf(from), `${file} → ${target}`)
    }
  }
})

t.test('no file imports itself, through however many others', async t => {
  const imports = new Map(
    sources.map(file => [file, importsOf(file).flatMap(name => targetOf(file, name) ?? [])]),
  )
  t.strictSame(circles(imports), [])
  // A control: two that import each other, and one that only leads there.
  const two = new Map([
    ['a.ts', ['b.ts']],
    ['b.ts', ['c.ts']],
    ['c.ts', ['b.ts']],
  ])
  t.strictSame(circles(two), ['b.ts → c.ts → b.ts'])
})

t.test('the two backends, and the kinds of the proxy, do not know each other', async t => {
  for (const file of sources) {
    const row = siblings.find(folders => folders.includes(dirname(file)))
    for (const name of importsOf(file)) {
      const to = dirname(targetOf(file, name) ?? '')
      t.notOk(to !== dirname(file) && row?.includes(to), `${file} → ${name}`)
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
  for (const folder of new Set(sources.map(dirname))) {
    const title = folder === 'model' ? 'network' : basename(folder)
    t.ok(sources.includes(`${folder}/${title}.ts`), `src/${folder}/${title}.ts`)
  }
})

t.test('no folder of src is so full that it needs a map', async t => {
  for (const folder of new Set(sources.map(dirname))) {
    const { length } = sources.filter(file => dirname(file) === folder)
    t.ok(length <= FILES_MAX, `${folder}: ${length} files`)
  }
})

/** The file of src/ that an import leads to; undefined for a package. */
function targetOf(file: string, name: string): string | undefined {
  return name.startsWith('.') ? relative('.', join(dirname(file), name)) : undefined
}

/** Circles of imports, each once, from the first of its files by name. */
function circles(imports: ReadonlyMap<string, string[]>): string[] {
  const done = new Set<string>()
  const found = new Set<string>()
  const visit = (file: string, path: string[]): void => {
    const since = path.indexOf(file)
    if (since >= 0) {
      const circle = path.slice(since)
      const first = circle.indexOf([...circle].sort()[0] ?? '')
      const turned = [...circle.slice(first), ...circle.slice(0, first)]
      found.add([...turned, turned[0]].join(' → '))
    } else if (!done.has(file)) {
      for (const next of imports.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
  }
  for (const file of imports.keys()) visit(file, [])
  return [...found]
}
