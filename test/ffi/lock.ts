import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { FileLock, lockFile, tryLockFile } from '../../src/ffi/lock.ts'
import { copyDescriptor, openProcess } from '../../src/ffi/pidfd.ts'

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

t.test('a lock that is left to whoever has a copy of it is never free in between', async t => {
  const path = join(t.testdir(), 'lock')
  const first = await lockFile(path, { removeAfter: true })
  using ourselves = openProcess(process.pid)
  const second = new FileLock(path, copyDescriptor(ourselves, first.number), true)
  first.leave()
  t.equal(tryLockFile(path), undefined)
  second[Symbol.dispose]()
  t.notOk(existsSync(path))
  tryLockFile(path)?.[Symbol.dispose]()
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

t.test('tasks of one process get it in the order in which they asked', async t => {
  const path = join(t.testdir(), 'lock')
  const order: number[] = []
  const turns = Array.from({ length: 5 }, async (_, i) => {
    using _lock = await lockFile(path)
    order.push(i)
    await new Promise(resolve => setImmediate(resolve))
  })
  await Promise.all(turns)
  t.same(order, [0, 1, 2, 3, 4])
})

t.test('who gives up in the line does not let those behind pass the holder', async t => {
  const path = join(t.testdir(), 'lock')
  const held = await lockFile(path)
  const impatient = lockFile(path, { withinMs: 20 })
  let entered = false
  const patient = lockFile(path).then(lock => {
    entered = true
    return lock
  })
  await t.rejects(impatient, { code: 'try-again' })
  await new Promise(resolve => setImmediate(resolve))
  t.notOk(entered)
  held[Symbol.dispose]()
  const lock = await patient
  t.ok(entered)
  lock[Symbol.dispose]()
  using _again = await lockFile(path)
})

t.test('a lock whose file cannot be removed is let go of all the same, and that is said', async t => {
  const path = join(t.testdir(), 'lock')
  const said: string[] = []
  const before = process.stderr.write
  process.stderr.write = (text: string | Uint8Array) => said.push(String(text)) > 0
  t.teardown(() => {
    process.stderr.write = before
  })
  const held = await lockFile(path, { removeAfter: true })
  const next = lockFile(path, { withinMs: 2_000 })
  const open = () => readdirSync('/proc/self/fd').length
  const descriptors = open()
  // unlink(2) refuses a folder to root as well.
  rmSync(path)
  mkdirSync(path)
  held[Symbol.dispose]()
  process.stderr.write = before
  rmdirSync(path)
  t.equal(open(), descriptors - 1)
  t.match(said.join(''), /a lock file stays: unlink .*EISDIR/)
  const lock = await next.catch(() => lockFile(path, { withinMs: 2_000 }))
  lock[Symbol.dispose]()
})

t.test('a FIFO in the place of a lock file is no reason to wait', async t => {
  const path = join(t.testdir(), 'lock')
  execFileSync('mkfifo', [path])
  using lock = tryLockFile(path)
  t.ok(lock)
})
