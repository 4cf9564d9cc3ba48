import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { lockFile, tryLockFile } from '../../src/ffi/lock.ts'

t.test('a lock excludes every other until it is released', async t => {
  const path = join(t.testdir(), 'lock')
  const first = await lockFile(path)
  t.equal(tryLockFile(path), undefined)
  first[Symbol.dispose]()
  const second = tryLockFile(path)
  t.ok(second)
  second?.[Symbol.dispose]()
  t.ok(existsSync(path), 'the file stays unless asked otherwise')
})

t.test('waiting ends at the deadline with an error that names the file', async t => {
  const path = join(t.testdir(), 'lock')
  using _held = await lockFile(path)
  await t.rejects(lockFile(path, { withinMs: 20 }), { code: 'try-again', message: /lock has been locked/ })
})

t.test('a lock that removes its file hands over to all who wait, one at a time', async t => {
  const path = join(t.testdir(), 'lock')
  let inside = 0
  const turns = Array.from({ length: 20 }, async () => {
    using _lock = await lockFile(path, { removeAfter: true })
    inside++
    t.equal(inside, 1)
    await new Promise(resolve => setImmediate(resolve))
    inside--
  })
  await Promise.all(turns)
  t.notOk(existsSync(path))
})
