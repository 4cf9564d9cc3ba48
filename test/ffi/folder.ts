import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { makeFolder } from '../../src/ffi/folder.ts'

const top = mkdtempSync(join(tmpdir(), 'folder-'))
t.teardown(() => rmSync(top, { recursive: true }))

t.test('a folder is made with those above it, once and again', async t => {
  const path = join(top, 'a/b/c')
  makeFolder(path, 0o700)
  makeFolder(path, 0o700)
  for (const each of ['a', 'a/b', 'a/b/c']) t.equal(statSync(join(top, each)).mode & 0o777, 0o700, each)
})

t.test('where none can be made, that is an error at once', async t => {
  for (const path of ['/proc/x', '/proc/x/y/z'])
    t.throws(() => makeFolder(path, 0o700), { code: 'ENOENT' }, path)
  const file = join(top, 'file')
  writeFileSync(file, '')
  t.throws(() => makeFolder(file, 0o700), { code: 'EEXIST' })
  t.throws(() => makeFolder(join(file, 'below'), 0o700), { code: 'ENOTDIR' })
})
