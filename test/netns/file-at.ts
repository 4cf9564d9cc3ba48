/** Files looked at without Node are what Node says they are. */

import { statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fileAt } from '../../src/netns/file-at.ts'

t.test('files, folders, devices, namespaces and what links lead to are told as Node tells them', async t => {
  const folder = t.testdir()
  const file = join(folder, 'file')
  writeFileSync(file, 'x')
  symlinkSync(file, join(folder, 'link'))
  for (const path of [file, folder, join(folder, 'link'), '/dev/null', '/proc/self/ns/net', '/dev/shm']) {
    const { dev, ino, ctimeMs } = statSync(path)
    const found = fileAt(path)
    t.match(found, { dev, ino }, path)
    t.ok(Math.abs((found?.ctimeMs ?? 0) - ctimeMs) < 0.01, `${path}: ${found?.ctimeMs}, ${ctimeMs}`)
  }
})

t.test('where there is nothing it says so, and what cannot be looked at is an error', async t => {
  const folder = t.testdir({ file: '' })
  t.equal(fileAt(join(folder, 'nothing')), undefined)
  t.equal(fileAt(join(folder, 'file', 'below')), undefined)
  t.equal(fileAt(''), undefined)
  symlinkSync('loop', join(folder, 'loop'))
  t.throws(() => fileAt(join(folder, 'loop')), { code: 'ELOOP' })
})
