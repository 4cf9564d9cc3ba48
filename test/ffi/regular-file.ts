import { writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import { asideMark, ListedFolder, readRegular } from '../../src/ffi/regular-file.ts'
import { damage } from '../support/damage.ts'

function readListed(path: string) {
  using folder = new ListedFolder(dirname(path))
  return folder.read(basename(path))
}

t.test('a file is read whole, whatever size it says it has', async t => {
  const path = join(t.testdir(), 'file')
  for (const text of ['', 'x', 'ü'.repeat(100_000)]) {
    writeFileSync(path, text)
    t.same(readRegular(path), { text })
    t.same(readListed(path), { text })
  }
  t.match(readRegular('/proc/self/status'), { text: /^Name:[\s\S]*\nThreads:/ })
  t.equal(readRegular('/nowhere'), undefined)
  t.equal(readListed('/nowhere'), undefined)
  t.throws(() => readListed('/nowhere/within'), { code: 'ENOENT' })
})

t.test('what is no file is said to be what it is, and never waited for', async t => {
  const path = join(t.testdir(), 'file')
  for (const [kind, said] of [
    ['a FIFO', /is a FIFO/],
    ['a device', /is a device/],
    ['a directory', /is a directory/],
    ['a link to nowhere', /is a symbolic link/],
    ['a gigabyte', /is 1024 MiB large/],
    ['not UTF-8', /is not UTF-8/],
  ] as const) {
    damage(path, kind, '')
    t.match(readRegular(path), { damage: said }, kind)
    t.match(readListed(path), { damage: said }, `${kind}, listed`)
    if (kind !== 'a link to nowhere') t.match(readRegular(path, { follow: true }), { damage: said }, kind)
  }
})

t.test('a link is followed where that is asked for', async t => {
  const folder = t.testdir({ file: 'text', link: t.fixture('symlink', 'file') })
  t.same(readRegular(join(folder, 'link'), { follow: true }), { text: 'text' })
  t.match(readRegular(join(folder, 'link')), { damage: /symbolic link/ })
})

t.test('what is set aside in one millisecond has different names', async t => {
  const marks = Array.from({ length: 100 }, asideMark)
  t.equal(new Set(marks).size, marks.length)
  for (const mark of marks) t.match(mark, /^\d{8}T\d{9}Z-[0-9a-f]{6}$/)
})
