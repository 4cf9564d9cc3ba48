import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Undertaking } from '../../src/model/network.ts'
import * as state from '../../src/records/records.ts'

/** A run directory of the test's own. */
function runDirectory(t: { testdir(): string }): string {
  const path = t.testdir()
  process.env.TSNET_RUN_DIR = path
  return path
}

const owner = '0123456789abcdef'
const undertaking: Undertaking = {
  network: 'front',
  containerId: 'web',
  ifname: 'eth0',
  netns: { path: '/run/netns/web', dev: 4, ino: 1 },
  bootId: 'b',
  createdAt: '2026-01-01T00:00:00Z',
  bridgeName: 'cni0',
  ipam: { kind: 'none' },
  leases: [],
  ports: [],
  macspoofchk: false,
  aliases: [],
}

t.test('an entry comes back as it was written and leaves nothing when removed', async t => {
  const folder = runDirectory(t)
  state.writeEntry(owner, { state: 'attaching', attachment: undertaking })
  t.same(state.readEntry(owner), { state: 'attaching', attachment: undertaking })
  t.same(state.listEntries(), [{ owner, entry: { state: 'attaching', attachment: undertaking } }])
  state.removeEntry(owner)
  t.equal(state.readEntry(owner), undefined)
  t.same(readdirSync(folder), [])
})

t.test('a damaged entry is set aside and the others stay readable', async t => {
  const folder = runDirectory(t)
  state.writeEntry(owner, { state: 'attaching', attachment: undertaking })
  for (const [name, text] of [
    ['1111111111111111', ''],
    ['2222222222222222', '{"format":1}'],
    ['3333333333333333', '{"format":99,"attachment":{"containerId":"x"}}'],
    ['4444444444444444', '\0\0\0'],
  ] as const) {
    writeFileSync(join(folder, 'attachments', `${name}.json`), text)
    t.equal(state.readEntry(name), undefined, name)
    t.ok(existsSync(join(folder, 'attachments', `${name}.json.damaged`)))
  }
  t.equal(state.listEntries().length, 1)
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
