/** Manual pages and completions, made of what the commands say of themselves. */

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { commands as commandsOf } from '../../src/cli/cli.ts'
import { describeCommands } from '../../src/cli/manual/manual.ts'
import { bashCompletion, fishCompletion, zshCompletion } from '../../src/install/completions.ts'
import { manPages } from '../../src/install/man.ts'
import { commands } from '../support/installing.ts'

const all = describeCommands(commandsOf({ out() {}, error() {}, lively: false, livelyErrors: false }))

t.test('every command has a page, and no line of its own is taken for a request', async t => {
  const pages = manPages(all, '1.2.3')
  t.same(
    pages.map(({ name }) => name),
    ['tsnet.1', ...all.map(({ name }) => `tsnet-${name.replace(' ', '-')}.1`)],
  )
  const requests = ['.TH', '.SH', '.TP', '.B', '.BR']
  for (const { name, text } of [...pages, ...manPages(commands, '1')]) {
    for (const line of text.split('\n').filter(line => /^[.']/.test(line)))
      t.ok(requests.includes(line.split(' ')[0] ?? ''), `${name}: ${line}`)
  }
  const [, publish] = manPages(commands, '1')
  t.match(publish?.text, '.B \\-p, \\-\\-port <port>\nas docker [run] \\-p; default: any\n')
  t.match(manPages(commands, '1')[0]?.text, '\\&.list what is published')
})

t.test(
  'every page says by what a command is called, what it reads and how it ends, and man has no complaint',
  t => {
    const folder = mkdtempSync(join(tmpdir(), 'tsnet-man-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    for (const { name, text } of manPages(all, '1.2.3')) {
      const wanted = ['SYNOPSIS', 'DESCRIPTION', 'FILES', 'ENVIRONMENT', 'EXIT STATUS']
      for (const title of name === 'tsnet.1' ? wanted : [...wanted, 'EXAMPLES'])
        t.ok(text.includes(`\n.SH ${title}\n`), `${name}: ${title}`)
      const file = join(folder, name)
      writeFileSync(file, text)
      // From a file alone, at one width: whatever it has to say of a page is on stderr.
      const { stdout, stderr } = spawnSync('man', ['--warnings', '-l', file], {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, MANWIDTH: '80', LC_ALL: 'C.UTF-8' },
      })
      t.equal(stderr ?? '', '', name)
      if (stdout !== null) t.match(stdout, 'EXIT STATUS', name)
    }
    t.end()
  },
)

/** What bash would offer for the last of these words. */
function completer(t: Test): (...words: string[]) => string {
  const folder = mkdtempSync(join(tmpdir(), 'tsnet-bash-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'tsnet')
  writeFileSync(file, bashCompletion(all))
  return (...words) =>
    execFileSync(
      'bash',
      [
        '-c',
        // What there is of networks, the command says.
        `tsnet() { case "$*" in *networks) printf '%s\\n' front back ;; *containers) printf '%s\\n' web db ;; *) echo "$2-word" ;; esac; }; source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tsnet; echo "\${COMPREPLY[@]}"`,
        file,
        'tsnet',
        ...words,
      ],
      { encoding: 'utf8' },
    ).trim()
}

t.test('bash completes commands, and the options of each', async t => {
  const complete = completer(t)
  t.equal(complete('unp'), 'unpublish')
  t.equal(complete('inst'), 'install')
  t.equal(complete('publish', '--max'), '--max-connections')
  t.equal(complete('daemon', '--'), '--config --replace --idle --metrics --help')
  t.equal(complete('net'), 'network')
  t.equal(complete('network', ''), 'create ls inspect rm')
  t.equal(complete('network', 'create', '--sub'), '--subnet')
})

t.test('shells complete the names of networks where one is meant', async t => {
  const complete = completer(t)
  t.equal(complete('attach', 'fr'), 'front')
  t.equal(complete('detach', ''), `${'--dry-run --verbose --conf-dir --ifname --json --help'} front back`)
  t.equal(complete('attach', 'front', 'ba'), '', 'the second word is a container')
  t.equal(complete('network', 'rm', 'front', 'ba'), 'back')
  t.equal(complete('network', 'create', 'fr'), '')
  const asked = 'tsnet __complete networks 2>/dev/null'
  t.match(zshCompletion(all), `'1:network:{compadd -- \${(f)"$(${asked})"}}'`)
  t.match(
    fishCompletion(all),
    `-n '__fish_seen_subcommand_from network; and __fish_seen_subcommand_from rm' -f -a '(${asked})'`,
  )
})

t.test('shells complete containers, ports and values where these are meant', t => {
  const complete = completer(t)
  t.equal(complete('publish', '8080:80', 'w'), 'web')
  t.equal(complete('attach', 'front', 'd'), 'db')
  t.equal(complete('attach', '--ip', '10.0.0.9', 'front', 'd'), 'db', 'the value of an option is no word')
  t.equal(complete('attach', '-p', '80', '--json', 'ba'), 'back')
  t.equal(complete('publish', '--mode', ''), 'auto nat proxy redirect')
  t.equal(complete('publish', '--via', 'n'), 'netns')
  t.equal(complete('publish', '--mode', 'nat', '--vi'), '--via')
  t.equal(complete('resolve', '--network', ''), 'front back')
  t.equal(complete('daemon', '--config', ''), '', 'files, which bash has itself')
  t.equal(complete('unpublish', 'pub'), 'published-word')
  t.equal(complete('trace', 'p'), 'ports-word')
  t.equal(complete('doctor', 's'), 'subjects-word')
  t.equal(complete('detach', 'front', 'a'), 'attached-word')
  t.match(zshCompletion(all), /'--mode\[.*?\]:value:\(auto nat proxy redirect\)'/)
  t.match(fishCompletion(all), "-l mode -r -f -a 'auto nat proxy redirect' -d")
  t.end()
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
