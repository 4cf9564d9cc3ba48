/** Commands that fail without a word, as those of iptables do on a busy machine: by commands that only look like them. */

import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { deplete, save } from '../../../src/nat/iptables/run.ts'
import { PAUSES_MS, patiently } from '../../../src/nat/patience.ts'

/** @param says what the command does from its so many first time on; before, it fails without a word */
function pretend(t: Test, name: string, silentTimes: number, says: string): { times(): number } {
  const folder = t.testdir({})
  const script = `#!/bin/sh
echo >>'${folder}/times'
[ "$(wc -l <'${folder}/times')" -gt ${silentTimes} ] || exit 1
${says}
`
  writeFileSync(`${folder}/${name}`, script)
  chmodSync(`${folder}/${name}`, 0o755)
  const before = process.env.PATH
  process.env.PATH = `${folder}:${before}`
  t.teardown(() => {
    process.env.PATH = before
  })
  return { times: () => readFileSync(`${folder}/times`, 'utf8').length }
}

t.test('a listing that fails without a word is asked for again, and not for ever', async t => {
  const seldom = pretend(t, 'iptables-save', PAUSES_MS.length, 'echo "*nat"')
  t.equal(await save(4), '*nat\n')
  t.equal(seldom.times(), PAUSES_MS.length + 1)
  const always = pretend(t, 'iptables-save', 99, 'true')
  await t.rejects(save(4), { code: 'kernel', message: 'iptables-save: it ended with 1, without a word' })
  t.equal(always.times(), PAUSES_MS.length + 1)
})

t.test('one that says why is not asked again', async t => {
  const told = pretend(t, 'iptables-save', 0, 'echo "no such table" >&2; exit 1')
  await t.rejects(save(4), { code: 'kernel', message: 'iptables-save: no such table' })
  t.equal(told.times(), 1)
})

t.test('a change that fails without a word is tried again, and not for ever', async t => {
  const file = '*nat\n-D A -j DROP\nCOMMIT\n'
  const always = pretend(t, 'iptables-restore', 99, 'true')
  await t.rejects(
    deplete(4, 'of a test', () => Promise.resolve(file)),
    {
      message: 'iptables-restore, of a test: it ended with 1, without a word',
    },
  )
  t.equal(always.times(), PAUSES_MS.length + 2)
  const seldom = pretend(t, 'iptables-restore', PAUSES_MS.length, 'cat')
  await deplete(4, 'of a test', () => Promise.resolve(file))
  t.equal(seldom.times(), PAUSES_MS.length + 1)
})

t.test('a change in whose way others stand several times is tried again, and not for ever', async t => {
  const file = '*filter\n-X A\nCOMMIT\n'
  const look = () => Promise.resolve(file)
  const busy = 'echo "iptables-restore: line 2 failed: Directory not empty" >&2; exit 1'
  const seldom = pretend(
    t,
    'iptables-restore',
    0,
    `[ "$(wc -l <"$0.times")" -gt 3 ] && cat || { echo >>"$0.times"; ${busy}; }`,
  )
  await deplete(4, 'of a test', look)
  t.equal(seldom.times(), 5)
  const always = pretend(t, 'iptables-restore', 0, busy)
  await t.rejects(deplete(4, 'of a test', look), { message: /Directory not empty/ })
  t.equal(always.times(), PAUSES_MS.length + 2)
})

t.test('a process that cannot be started is started later, and not for ever', async t => {
  const starting = (failures: number, code: string) => {
    let times = 0
    const start = () => {
      if (times++ < failures) throw Object.assign(new Error('posix_spawn'), { code })
      return times
    }
    return patiently(start)
  }
  t.equal(await starting(PAUSES_MS.length, 'EAGAIN'), PAUSES_MS.length + 1)
  await t.rejects(starting(99, 'EAGAIN'), { code: 'EAGAIN' })
  await t.rejects(starting(1, 'ENOENT'), { code: 'ENOENT' })
})
