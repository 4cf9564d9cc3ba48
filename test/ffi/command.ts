/** Commands that are run without child_process. */

import { readdirSync } from 'node:fs'
import t from 'tap'
import { runCommand } from '../../src/ffi/command.ts'

const sh = (script: string, rest: { stdin?: string; env?: string[]; withinMs?: number } = {}) =>
  runCommand('/bin/sh', ['-c', script], { withinMs: 20_000, env: ['PATH=/usr/bin:/bin'], ...rest })

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

t.test('what a command says, and how it ends', async t => {
  t.strictSame(await sh('echo out; echo err >&2; exit 3'), { code: 3, stdout: 'out\n', stderr: 'err\n' })
  t.strictSame(await sh('kill -TERM $$'), { code: 143, stdout: '', stderr: '' })
  t.strictSame(await runCommand('/bin/true', [], { withinMs: 20_000 }), { code: 0, stdout: '', stderr: '' })
})

t.test('it reads what it is given, however much, while it writes', async t => {
  const stdin = 'ä line of text\n'.repeat(100_000)
  const { stdout } = await sh('cat', { stdin })
  t.equal(stdout, stdin)
})

t.test('a command that does not read ends all the same', async t => {
  const { code, stderr } = await sh('echo no >&2; exit 1', { stdin: 'x'.repeat(1_000_000) })
  t.equal(code, 1)
  t.equal(stderr, 'no\n')
})

t.test('it sees the environment that it is given and no other, in a session of its own', async t => {
  const { stdout } = await sh('env | grep -v ^_= | sort', { env: ['PATH=/usr/bin:/bin', 'A=b c'] })
  t.equal(stdout, `A=b c\nPATH=/usr/bin:/bin\nPWD=${process.cwd()}\n`)
  t.match(await sh('test "$(cut -d" " -f6 /proc/$$/stat)" = $$'), { code: 0 })
})

t.test('arguments are what they are', async t => {
  const words = ['a b', '$(id)', "'", '', '*']
  const { stdout } = await runCommand('/bin/sh', ['-c', 'printf "%s\\n" "$@"', 'sh', ...words], {
    withinMs: 20_000,
  })
  t.equal(stdout, `${words.join('\n')}\n`)
})

t.test('one that takes too long is killed', async t => {
  t.match(await sh('sleep 100', { withinMs: 100 }), { code: 137 })
})

t.test('one that cannot be started says so', async t => {
  await t.rejects(runCommand('/nowhere', [], { withinMs: 1000 }), {
    code: 'ENOENT',
    message: /starting \/nowhere/,
  })
  await t.rejects(runCommand('/dev/null', [], { withinMs: 1000 }), { code: 'EACCES' })
})

t.test('many at once all end, and leave no descriptor', async t => {
  await sh('true')
  const before = openDescriptors()
  const all = await Promise.all(Array.from({ length: 20 }, (_, i) => sh(`cat; exit ${i}`, { stdin: `${i}` })))
  t.strictSame(
    all.map(({ code, stdout }) => `${code} ${stdout}`),
    all.map((_, i) => `${i} ${i}`),
  )
  await t.rejects(runCommand('/nowhere', [], { withinMs: 1000 }))
  t.equal(openDescriptors(), before)
})
