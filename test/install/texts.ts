/** Manual pages and completions, made of what the commands say of themselves. */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { commands as commandsOf, describeCommands } from '../../src/cli/cli.ts'
import { bashCompletion, fishCompletion, zshCompletion } from '../../src/install/completions.ts'
import { manPages } from '../../src/install/man.ts'
import { commands } from '../support/installing.ts'

const all = describeCommands(commandsOf({ out() {}, error() {}, lively: false, livelyErrors: false }))

t.test('every command has a page, and no line of its own is taken for a request', async t => {
  const pages = manPages(all, '1.2.3')
  t.same(
    pages.map(({ name }) => name),
    ['tsnet.1', ...all.map(({ name }) => `tsnet-${name}.1`)],
  )
  const requests = ['.TH', '.SH', '.TP', '.B', '.BR']
  for (const { name, text } of [...pages, ...manPages(commands, '1')]) {
    for (const line of text.split('\n').filter(line => /^[.']/.test(line)))
      t.ok(requests.includes(line.split(' ')[0] ?? ''), `${name}: ${line}`)
  }
  const [, publish] = manPages(commands, '1')
  t.match(publish?.text, '.B \\-p, \\-\\-port <port>\nas docker [run] \\-p\n')
  t.match(manPages(commands, '1')[0]?.text, '\\&.list what is published')
})

t.test('bash completes commands, and the options of each', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-bash-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'tsnet')
  writeFileSync(file, bashCompletion(all))
  const complete = (...words: string[]) =>
    execFileSync(
      'bash',
      [
        '-c',
        `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tsnet; echo "\${COMPREPLY[@]}"`,
        file,
        'tsnet',
        ...words,
      ],
      { encoding: 'utf8' },
    ).trim()
  t.equal(complete('unp'), 'unpublish')
  t.equal(complete('ins'), 'install')
  t.equal(complete('publish', '--max'), '--max-connections')
  t.equal(complete('daemon', '--'), '--config --replace --idle --help')
})

t.test('zsh and fish are told the same, with what is special to them quoted', async t => {
  const zsh = zshCompletion(commands)
  t.match(zsh, /^#compdef tsnet\n/)
  t.match(zsh, `'publish:publish ports of a container, '\\''.quoted'\\'''`)
  t.match(zsh, `'--port[as docker \\[run\\] -p]:value:_files' '--json[as JSON]'`)
  const fish = fishCompletion(commands)
  t.match(fish, /^complete -c tsnet -n __fish_use_subcommand -f -a ports -d '\.list what is published'$/m)
  t.match(fish, "-n '__fish_seen_subcommand_from publish' -l port -r -d 'as docker [run] -p'")
})
