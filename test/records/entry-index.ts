import { rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { EntryIndex } from '../../src/records/entry-index.ts'
import { entriesFolder, entryPath, removeEntry, writeEntry } from '../../src/records/records.ts'
import { links, tagOf, undertaking } from '../support/records.ts'

const tag = (n: number): string => tagOf(`c${n}`)

function write(n: number, ports: number, state: 'attached' | 'detaching' = 'attached'): void {
  const mapping = { hostPort: 8080, containerPort: 80, protocol: 'tcp', count: 1 } as const
  const attachment = { ...undertaking(`c${n}`, { ports: Array(ports).fill(mapping) }), ...links }
  writeEntry(tag(n), { state, attachment })
}

/** Lets the clock of files go on: what is written from now on differs. */
const settle = () => new Promise(resolve => setTimeout(resolve, 40))

function open(t: Test): EntryIndex {
  const before = process.env.TSNET_RUN_DIR
  process.env.TSNET_RUN_DIR = t.testdir({})
  t.teardown(() => {
    process.env.TSNET_RUN_DIR = before
  })
  return new EntryIndex()
}

t.test('an index says what the files say, however soon after a change it is asked', async t => {
  const index = open(t)
  const says = (...owners: number[]) => t.same(index.attachedWithPorts().sort(), owners.map(tag).sort())
  says()
  for (const pause of [async () => {}, settle]) {
    write(1, 1)
    write(2, 0)
    says(1)
    await pause()
    write(3, 2)
    says(1, 3)
    await pause()
    write(1, 1, 'detaching')
    says(3)
    await pause()
    write(1, 0)
    write(2, 1)
    write(2, 0)
    says(3)
    await pause()
    removeEntry(tag(3))
    says()
    await pause()
  }
})

t.test('an entry that somebody changes in its place is seen too', async t => {
  const index = open(t)
  write(1, 1)
  await settle()
  t.same(index.attachedWithPorts(), [tag(1)])
  const nothing = JSON.stringify({
    format: 1,
    state: 'attached',
    attachment: { ...undertaking('c1'), ...links },
  })
  writeFileSync(entryPath(tag(1)), nothing)
  await settle()
  t.same(index.attachedWithPorts(), [], 'the folder is as it was, the file is another')
  rmSync(entriesFolder(), { recursive: true })
  t.same(index.attachedWithPorts(), [])
})
