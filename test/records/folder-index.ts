import { mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { tryWatch } from '../../src/ffi/watch.ts'
import { number } from '../../src/model/json/shape.ts'
import { FolderIndex } from '../../src/records/folder-index.ts'
import { readState, writeState } from '../../src/records/state-files.ts'

/** Long ago, as seen from now: what was changed then is not looked at again. */
const LONG_AGO = new Date(Date.now() - 60_000)

/** With the kernel's help, and where it gives none. */
const ways = { watched: tryWatch, unwatched: () => undefined }

function openIndex(t: Test, watch: typeof tryWatch) {
  const run = t.testdir()
  const before = process.env.TSNET_RUN_DIR
  process.env.TSNET_RUN_DIR = run
  t.teardown(() => {
    if (before === undefined) delete process.env.TSNET_RUN_DIR
    else process.env.TSNET_RUN_DIR = before
  })
  const read: string[] = []
  const index = new FolderIndex(
    'things',
    name => {
      if (!name.endsWith('.json')) return undefined
      read.push(name)
      return readState<number>(`things/${name}`, number)
    },
    watch,
  )
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

for (const [way, watch] of Object.entries(ways)) {
  t.test(
    `${way}: a folder in which nothing has changed is not read again, however many files it has`,
    async t => {
      const { look, age } = openIndex(t, watch)
      for (let i = 0; i < 500; i++) writeState(`things/${i}.json`, i)
      age(...Array.from({ length: 500 }, (_, i) => `${i}.json`), '')
      t.equal(look().read.length, 500)
      for (let i = 0; i < 3; i++) {
        const { values, read } = look()
        t.equal(values.length, 500)
        t.strictSame(read, [])
      }
    },
  )

  t.test(`${way}: of many files only the one that changed is read`, async t => {
    const { look, age } = openIndex(t, watch)
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

  t.test(`${way}: what changed a moment ago is read until the clock of files has moved on`, async t => {
    const { look } = openIndex(t, watch)
    for (let i = 0; i < 50; i++) {
      writeState('things/1.json', i)
      t.strictSame(look().values, [i])
    }
  })

  t.test(`${way}: a file with the same time and length but another inode is another file`, async t => {
    const { look, folder, age } = openIndex(t, watch)
    writeState('things/1.json', 10)
    age('1.json')
    t.strictSame(look().values, [10])
    writeFileSync(join(folder, 'new'), '20')
    utimesSync(join(folder, 'new'), LONG_AGO, LONG_AGO)
    renameSync(join(folder, 'new'), join(folder, '1.json'))
    t.strictSame(look().values, [20])
  })

  t.test(`${way}: a folder that comes and goes is followed`, async t => {
    const { look, folder } = openIndex(t, watch)
    t.strictSame(look().values, [])
    writeState('things/1.json', 1)
    t.strictSame(look().values, [1])
    rmSync(folder, { recursive: true })
    t.strictSame(look().values, [])
    mkdirSync(folder)
    t.strictSame(look().values, [])
  })
}

t.test('after a change a watched folder is not read but for the file that changed', t => {
  const { look, index } = openIndex(t, tryWatch)
  for (let i = 0; i < 300; i++) writeState(`things/${i}.json`, i)
  look()
  for (let i = 0; i < 10; i++) {
    writeState('things/3.json', 1000 + i)
    t.strictSame(look().read, ['3.json'])
    t.equal(index.list().length, 300)
  }
  t.end()
})

t.test('when the kernel has forgotten what changed, all is read again', t => {
  const { look, index, folder } = openIndex(t, tryWatch)
  writeState('things/1.json', 1)
  look()
  const most = Number(readFileSync('/proc/sys/fs/inotify/max_queued_events', 'utf8'))
  for (let i = 0; i < most; i++) {
    // Two events each; the same one twice in a row would count once.
    renameSync(
      join(folder, i % 2 === 0 ? '1.json' : '2.json'),
      join(folder, i % 2 === 0 ? '2.json' : '1.json'),
    )
  }
  writeState('things/9.json', 9)
  t.strictSame([...index.list()].sort(), [1, 9])
  writeState('things/9.json', 10)
  t.strictSame([...index.list()].sort(), [1, 10])
  t.end()
})

t.test('a folder that was exchanged for another of the same name is another folder', t => {
  const { look, folder } = openIndex(t, tryWatch)
  writeState('things/1.json', 1)
  look()
  renameSync(folder, `${folder}.old`)
  t.strictSame(look().values, [])
  mkdirSync(folder)
  writeFileSync(join(folder, '1.json'), '2')
  t.strictSame(look().values, [2])
  writeState('things/1.json', 3)
  t.strictSame(look().values, [3])
  t.end()
})
