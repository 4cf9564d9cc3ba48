import { mkdirSync, renameSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FolderWatch, tryWatch } from '../../src/ffi/watch.ts'

t.test('what was done to the files of a folder is told when it is asked for, and once', t => {
  const folder = t.testdir({ old: 'x', other: 'x' })
  using watch = new FolderWatch(folder)
  t.same(watch.changes(), new Map())
  writeFileSync(join(folder, 'new'), 'x')
  renameSync(join(folder, 'old'), join(folder, 'named'))
  unlinkSync(join(folder, 'other'))
  t.same(
    watch.changes(),
    new Map([
      ['new', true],
      ['old', false],
      ['named', true],
      ['other', false],
    ]),
  )
  t.same(watch.changes(), new Map())
  t.end()
})

t.test('many changes at once are all told, with long names and strange ones', t => {
  const folder = t.testdir({})
  using watch = new FolderWatch(folder)
  const names = Array.from({ length: 2000 }, (_, i) => `${i}-${'ä\n'.repeat(i % 60)}`)
  for (const name of names) writeFileSync(join(folder, name), '')
  t.same([...(watch.changes()?.keys() ?? [])].sort(), names.sort())
  t.end()
})

t.test('when the folder goes or is moved, nothing is known any more', t => {
  const top = t.testdir({ gone: {}, moved: {} })
  using gone = new FolderWatch(join(top, 'gone'))
  using moved = new FolderWatch(join(top, 'moved'))
  rmdirSync(join(top, 'gone'))
  renameSync(join(top, 'moved'), join(top, 'elsewhere'))
  mkdirSync(join(top, 'gone'))
  t.equal(gone.changes(), undefined)
  t.equal(moved.changes(), undefined)
  t.end()
})

t.test('what is no folder cannot be watched', t => {
  const folder = t.testdir({ file: 'x' })
  t.equal(tryWatch(join(folder, 'nothing')), undefined)
  t.equal(tryWatch(join(folder, 'file')), undefined)
  t.throws(() => new FolderWatch(join(folder, 'nothing')), { code: 'ENOENT' })
  t.end()
})
