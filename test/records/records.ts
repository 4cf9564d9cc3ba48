import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import * as state from '../../src/records/records.ts'
import { tagOf, undertaking } from '../support/records.ts'

/** A run directory of the test's own. */
function runDirectory(t: { testdir(): string }): string {
  const path = t.testdir()
  process.env.TSNET_RUN_DIR = path
  return path
}

const owner = tagOf('web')
const attachment = undertaking('web')

t.test('an entry comes back as it was written and leaves nothing when removed', async t => {
  const folder = runDirectory(t)
  state.writeEntry(owner, { state: 'attaching', attachment })
  t.same(state.readEntry(owner), { state: 'attaching', attachment })
  t.same(state.listEntries(), [{ owner, entry: { state: 'attaching', attachment } }])
  state.removeEntry(owner)
  t.equal(state.readEntry(owner), undefined)
  t.same(readdirSync(folder), [])
})

t.test('the last user of something shared is known whatever the number', async t => {
  const folder = runDirectory(t)
  t.ok(state.isLastUser('bridge-cni0', owner), 'nobody uses it')
  state.addUser('bridge-cni0', owner)
  t.ok(state.isLastUser('bridge-cni0', owner))
  state.addUser('bridge-cni0', 'fedcba9876543210')
  t.notOk(state.isLastUser('bridge-cni0', owner))
  state.removeUser('bridge-cni0', 'fedcba9876543210')
  state.removeUser('bridge-cni0', 'fedcba9876543210')
  t.ok(state.isLastUser('bridge-cni0', owner))
  state.removeUser('bridge-cni0', owner)
  t.same(readdirSync(folder), [])
})

t.test('work under one lock never overlaps, and its file goes', async t => {
  const folder = runDirectory(t)
  let inside = 0
  const turns = Array.from({ length: 30 }, () =>
    state.whileLocked('deep/nat', async () => {
      inside++
      t.equal(inside, 1)
      await new Promise(resolve => setImmediate(resolve))
      inside--
    }),
  )
  await Promise.all(turns)
  t.same(readdirSync(folder), [])
})

t.test('a lock that is held is stepped around', async t => {
  runDirectory(t)
  await state.whileLocked('nat', async () => {
    t.equal(await state.unlessLocked('nat', () => 'in'), undefined)
  })
  t.equal(await state.unlessLocked('nat', () => 'in'), 'in')
})

t.test('what a killed writer left half-written is not read and goes with its file', async t => {
  const folder = runDirectory(t)
  mkdirSync(join(folder, 'attachments'))
  writeFileSync(join(folder, 'attachments', `${owner}.json.tmp`), '{"form')
  t.equal(state.readEntry(owner), undefined)
  t.same(state.listEntries(), [])
  state.removeEntry(owner)
  t.same(readdirSync(folder), [])
})
