import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Report } from '../../bench/report.ts'
import { merge, readReports } from '../../bench/saved.ts'

const report = (title: string, unit = 'ms'): Report => ({ title, unit, versions: {}, lines: [], notes: [] })

t.test('reports are read again as they were printed', async t => {
  const file = join(t.testdir(), 'cni.json')
  writeFileSync(file, JSON.stringify([report('a'), report('b')], null, 2))
  t.same(readReports(file), [report('a'), report('b')])
})

t.test('a file without reports is named', async t => {
  const folder = t.testdir({ 'words.json': '> tsnet bench\n[]', 'object.json': '{}', 'other.json': '[{}]' })
  for (const name of ['words.json', 'object.json', 'other.json'])
    t.throws(() => readReports(join(folder, name)), { message: new RegExp(name) })
})

t.test('of two reports with one title the later stands, in the place of the first', async t => {
  t.same(merge([report('a'), report('b'), report('a', 's')]), [report('a', 's'), report('b')])
})
