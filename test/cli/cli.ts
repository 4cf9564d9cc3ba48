/** The command line: versions, help, and calls that are wrong. */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { run } from '../../src/cli/cli.ts'
import type { Terminal } from '../../src/cli/terminal.ts'

/** Runs the command and keeps what it says. */
async function tsnet(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  const said = { out: '', error: '' }
  const terminal: Terminal = {
    out: text => {
      said.out += text
    },
    error: text => {
      said.error += text
    },
    lively: false,
  }
  return { code: await run(args, terminal), ...said }
}

t.test('--version says what package.json says', async t => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
  t.strictSame(await tsnet('--version'), { code: 0, out: `${version}\n`, error: '' })
})

t.test('--help lists the commands', async t => {
  const { code, out, error } = await tsnet('--help')
  t.strictSame([code, error], [0, ''])
  t.match(out, /^Usage: tsnet .*\n {2}demo /s)
})

t.test('a wrong call ends with 2, says what is wrong and where help is, on stderr', async t => {
  const calls: [args: string[], error: RegExp][] = [
    [['demmo'], /^tsnet: unknown command 'demmo'\n.*Did you mean demo\?.*--help/s],
    [['demo', '--colour'], /^tsnet: unknown option '--colour'\n/],
    [['demo', 'now'], /^tsnet: too many arguments/],
    [[], /^Usage: tsnet/],
  ]
  for (const [args, message] of calls) {
    const { code, out, error } = await tsnet(...args)
    t.strictSame([code, out], [2, ''], args.join(' '))
    t.match(error, message)
  }
})
