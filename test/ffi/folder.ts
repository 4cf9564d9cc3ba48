import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { hasName, makeFolder } from '../../src/ffi/folder.ts'

const top = mkdtempSync(join(tmpdir(), 'folder-'))
t.teardown(() => rmSync(top, { recursive: true }))

t.test('a folder is made with those above it, once and again', async t => {
  const path = join(top, 'a/b/c')
  makeFolder(path, 0o700)
  makeFolder(path, 0o700)
  for (const each of ['a', 'a/b', 'a/b/c']) t.equal(statSync(join(top, each)).mode & 0o777, 0o700, each)
})

t.test('of those that make the same folders at the same moment nobody fails', async t => {
  const [threads, rounds] = [2, 400]
  const barrier = new Int32Array(new SharedArrayBuffer(4))
  const racers = Array.from(
    { length: threads },
    () =>
      new Worker(new URL('../support/folder-racer.js', import.meta.url), {
        workerData: { folder: join(top, 'raced'), threads, rounds, barrier },
      }),
  )
  const said = racers.map(async racer => String((await once(racer, 'message'))[0]))
  t.strictSame(await Promise.all(said), ['', ''])
})

t.test('where none can be made, that is an error at once', async t => {
  for (const path of ['/proc/x', '/proc/x/y/z'])
    t.throws(() => makeFolder(path, 0o700), { code: 'ENOENT' }, path)
  const file = join(top, 'file')
  writeFileSync(file, '')
  t.throws(() => makeFolder(file, 0o700), { code: 'EEXIST' })
  t.throws(() => makeFolder(join(file, 'below'), 0o700), { code: 'ENOTDIR' })
})

t.test('a name is looked for in a folder of any size, and no further than it is found', async t => {
  const path = join(top, 'names')
  t.notOk(
    hasName(path, () => true),
    'no such folder',
  )
  makeFolder(path, 0o700)
  t.notOk(
    hasName(path, () => true),
    'nothing is in it',
  )
  const names = Array.from({ length: 2000 }, (_, i) => `ä name ${i} ${'x'.repeat(i % 200)}`)
  for (const name of names) writeFileSync(join(path, name), '')
  const seen: string[] = []
  t.notOk(hasName(path, name => seen.push(name) < 0))
  t.same(seen.sort(), names.sort())
  let looked = 0
  t.ok(hasName(path, () => ++looked === 3))
  t.equal(looked, 3)
  t.throws(() => hasName(join(top, 'file'), () => true), { code: 'ENOTDIR' })
})
