import { spawn } from 'node:child_process'
import t from 'tap'

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
