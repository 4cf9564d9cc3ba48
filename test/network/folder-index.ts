import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FolderIndex } from '../../src/network/folder-index.ts'
import { readState, writeState } from '../../src/network/state.ts'

/** Long ago, as seen from now: what was changed then is not looked at again. */
const LONG_AGO = new Date(Date.now() - 60_000)

function openIndex(t: Test) {
  const run = t.testdir()
  const before = process.env.TSNET_RUN_DIR
  process.env.TSNET_RUN_DIR = run
  t.teardown(() => {
    if (before === undefined) delete process.env.TSNET_RUN_DIR
    else process.env.TSNET_RUN_DIR = before
  })
  const read: string[] = []
  const index = new FolderIndex('things', name => {
    if (!name.endsWith('.json')) return undefined
    read.push(name)
    return readState<number>(`things/${name}`)
  })
  return {
    index,
    folder: join(run, 'things'),
    /** What is said to be there, and which files were read to know it. */
    look: () => {
      read.length = 0
      return { values: [...index.list()].sort(), read: [...read].sort() }
    },
    age: (...names: string[]) => {
      for (const name of names) utimesSync(join(run, 'things', name), LONG_AGO, LONG_AGO)
    },
  }
}

t.test('a folder in which nothing has changed is not read again, however many files it has', async t => {
  const { look, age } = openIndex(t)
  for (let i = 0; i < 500; i++) writeState(`things/${i}.json`, i)
  age(...Array.from({ length: 500 }, (_, i) => `${i}.json`), '')
  t.equal(look().read.length, 500)
  for (let i = 0; i < 3; i++) {
    const { values, read } = look()
    t.equal(values.length, 500)
    t.strictSame(read, [])
  }
})

t.test('of many files only the one that changed is read', async t => {
  const { look, age } = openIndex(t)
  for (let i = 0; i < 20; i++) writeState(`things/${i}.json`, i)
  age(...Array.from({ length: 20 }, (_, i) => `${i}.json`))
  look()
  writeState('things/7.json', 700)
  t.strictSame(look().read, ['7.json'])
  t.ok(look().values.includes(700))
  writeState('things/8.json', undefined)
  const { values, read } = look()
  t.notOk(values.includes(8))
  t.notOk(read.includes('8.json'))
})

t.test('what changed a moment ago is read until the clock of files has moved on', async t => {
  const { look } = openIndex(t)
  for (let i = 0; i < 50; i++) {
    writeState('things/1.json', i)
    t.strictSame(look().values, [i])
  }
})

t.test('a file with the same time and length but another inode is another file', async t => {
  const { look, folder, age } = openIndex(t)
  writeState('things/1.json', 10)
  age('1.json')
  t.strictSame(look().values, [10])
  writeFileSync(join(folder, 'new'), '20')
  utimesSync(join(folder, 'new'), LONG_AGO, LONG_AGO)
  renameSync(join(folder, 'new'), join(folder, '1.json'))
  t.strictSame(look().values, [20])
})

t.test('a folder that comes and goes is followed', async t => {
  const { look, folder } = openIndex(t)
  t.strictSame(look().values, [])
  writeState('things/1.json', 1)
  t.strictSame(look().values, [1])
  rmSync(folder, { recursive: true })
  t.strictSame(look().values, [])
  mkdirSync(folder)
  t.strictSame(look().values, [])
})
