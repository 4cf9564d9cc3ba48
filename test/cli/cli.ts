/** The command line: versions, help, and calls that are wrong. */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { run } from '../../src/cli/cli.ts'
import type { Terminal } from '../../src/cli/terminal.ts'

/** Runs the command and keeps what it says. */
const tsnet = (...args: string[]) => tsnetAs(0, ...args)

async function tsnetAs(
  uid: number,
  ...args: string[]
): Promise<{ code: number; out: string; error: string }> {
  const said = { out: '', error: '' }
  const terminal: Terminal = {
    out: text => {
      said.out += text
    },
    error: text => {
      said.error += text
    },
    lively: false,
    livelyErrors: false,
  }
  return { code: await run(args, terminal, uid), ...said }
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
    [['demo', '--colour'], /^tsnet: unknown option '--colour'\n\(tsnet demo --help/],
    [
      ['publish', '--mod', 'nat', '80', 'web'],
      /unknown option '--mod'\n\(Did you mean --mode\?\)\n\(tsnet publish --help/,
    ],
    [['publish', '-p', '8080:80', 'web'], /words of their own.*: tsnet publish 8080:80 web\n/],
    [['demo', 'now'], /^tsnet: too many arguments/],
    [['network'], /^Usage: tsnet network/],
    [['network', 'crate'], /^tsnet: unknown command 'crate'\n.*Did you mean create\?/s],
    [['network', 'rm', '--colour'], /unknown option '--colour'\n\(tsnet network rm --help/],
    [[], /^Usage: tsnet/],
  ]
  for (const [args, message] of calls) {
    const { code, out, error } = await tsnet(...args)
    t.strictSame([code, out], [2, ''], args.join(' '))
    t.match(error, message)
  }
})

t.test('without root every command says so in one line, with the command that would do', async t => {
  const calls = [
    ['publish', '8080:80', 'web'],
    ['unpublish', '8080'],
    ['ports'],
    ['daemon'],
    ['attach', 'front', 'web'],
    ['detach', 'front', 'web'],
    ['install'],
    ['uninstall'],
    ['demo'],
    ['oci-hook'],
    ['network', 'create', 'front'],
    ['network', 'rm', 'front'],
    ['network', 'inspect', 'front'],
  ]
  for (const words of calls) {
    const name = words[0] === 'network' ? words.slice(0, 2).join(' ') : words[0]
    const error = `tsnet: tsnet ${name} needs root: sudo tsnet ${words.join(' ')}\n`
    t.strictSame(await tsnetAs(1000, ...words), { code: 1, out: '', error })
  }
  t.equal((await tsnetAs(1000, '--help')).code, 0)
  t.equal((await tsnetAs(1000, 'install', '--help')).code, 0)
})

t.test('with --json an error is said once, as JSON', async t => {
  const { code, out, error } = await tsnetAs(1000, 'ports', '--json')
  t.strictSame([code, error], [1, ''])
  t.match(JSON.parse(out), { error: { code: 'missing', message: /needs root/ } })
})
