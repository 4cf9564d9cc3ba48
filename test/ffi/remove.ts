import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { removeFile, removeFolder } from '../../src/ffi/remove.ts'

t.test('a file that is not there is no error, one that stays is', async t => {
  const folder = t.testdir({ file: 'text', inner: {} })
  const file = join(folder, 'file')
  removeFile(file)
  t.notOk(existsSync(file))
  t.doesNotThrow(() => removeFile(file))
  t.throws(() => removeFile(join(folder, 'inner')), { code: 'EISDIR', message: /inner/ })
})

t.test('a folder goes when it is empty', async t => {
  const folder = join(t.testdir(), 'folder')
  mkdirSync(folder)
  writeFileSync(join(folder, 'file'), '')
  t.notOk(removeFolder(folder))
  removeFile(join(folder, 'file'))
  t.ok(removeFolder(folder))
  t.notOk(removeFolder(folder), 'it has gone')
})
