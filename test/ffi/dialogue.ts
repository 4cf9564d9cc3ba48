/** Commands that are asked one thing after the other. */

import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Dialogue } from '../../src/ffi/dialogue.ts'

const sh = (script: string): Dialogue => new Dialogue('/bin/sh', ['-c', script], ['PATH=/usr/bin:/bin'])

const question = (text: string, answer: string, withinMs = 20_000) => ({
  text,
  answer,
  withinMs,
  many: () => false,
})

const openDescriptors = (): number => readdirSync('/proc/self/fd').length
const children = (): string => readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')

t.test('it answers one question after the other, each with its own words', async t => {
  const dialogue = sh('while read line; do echo "$line?"; echo "$line!"; done')
  t.strictSame(await dialogue.ask(question('one\n', 'one!')), { stdout: 'one?\none!\n' })
  t.strictSame(await dialogue.ask(question('two\n', 'two!')), { stdout: 'two?\ntwo!\n' })
  dialogue.leave()
})

t.test('how it ended is told, with what it said then', async t => {
  const dialogue = sh(
    'read line; echo "$line"; echo warned >&2; read line; echo "$line"; echo no >&2; exit 3',
  )
  await dialogue.ask(question('one\n', 'one'))
  t.match(await dialogue.ask(question('two\n', 'never')), { stdout: 'two\n', ended: { code: 3 } })
  t.match(await sh('exit 0').ask(question('a\n', 'a')), { ended: { code: 0 } })
})

t.test('one that says nothing until its input ends is let end', async t => {
  const { stdout, ended } = await sh('cat >/dev/null; echo done').ask(question('a\n', 'done'))
  t.equal(stdout, 'done\n')
  t.match(ended, { code: 0 })
})

t.test('one that takes too long is killed', async t => {
  t.match(await sh('sleep 100').ask(question('', 'done', 100)), { ended: { code: 137 } })
})

t.test('one that ended unasked is known, and none leaves a zombie or a descriptor', async t => {
  const before = openDescriptors()
  const ended = sh('exit 1')
  await waitFor(() => ended.hasEnded(), { what: 'the command to end' })
  ended.leave()
  const waiting = sh('cat')
  t.notOk(waiting.hasEnded())
  waiting.leave()
  await waitFor(() => children() === '', { what: 'no child to be left' })
  t.equal(openDescriptors(), before)
})
