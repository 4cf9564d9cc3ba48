import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import t from 'tap'
import { uninterrupted } from '../../src/ffi/signals.ts'

const program = `
  import { ignoreSignals } from '${new URL('../../src/ffi/signals.js', import.meta.url)}'
  ignoreSignals('SIGTERM', 'SIGHUP')
  console.log('ready')
  process.stdin.on('data', () => process.exit(7))`

t.test('a signal that is ignored does nothing, the others what they always do', async t => {
  for (const [signals, code, signal] of [
    [['SIGTERM', 'SIGHUP'], 7, null],
    [['SIGTERM', 'SIGINT'], null, 'SIGINT'],
  ] as const) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const ended = new Promise(resolve => child.on('exit', (code, signal) => resolve({ code, signal })))
    await new Promise(resolve => child.stdout.once('data', resolve))
    for (const name of signals) child.kill(name)
    child.stdin.on('error', () => {}) // it may be gone
    child.stdin.end('go')
    t.same(await ended, { code, signal }, signals.join(' '))
  }
})

t.test('work that must not be interrupted has all signals blocked, and nobody after it', async t => {
  const blocked = () => /^SigBlk:\t(\w+)$/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1]
  const before = blocked()
  const during = Number.parseInt(uninterrupted(blocked)?.slice(-8) ?? '', 16)
  for (const name of ['SIGHUP', 'SIGTERM', 'SIGCHLD'] as const) {
    t.ok(during & (1 << (constants.signals[name] - 1)), name)
  }
  t.equal(blocked(), before)
  t.throws(() =>
    uninterrupted(() => {
      throw new Error('it failed')
    }),
  )
  t.equal(blocked(), before)
})
