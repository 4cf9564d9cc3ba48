/**
 * What commands print on a terminal of 20 columns: no line is wider, and what is told elsewhere is told there, whether
 * Node prints it or the daemon does for a launcher. The terminal is script(1)'s.
 */

import t from 'tap'
import { commands } from '../../src/cli/cli.ts'
import { leavesOf } from '../../src/cli/command.ts'
import { terminalOf } from '../../src/cli/terminal.ts'
import { columnsOf } from '../../src/model/text/text.ts'
import { EXECUTABLE } from '../support/daemon.ts'
import { withNetworks } from '../support/networks.ts'

t.setTimeout(600_000)

const COLUMNS = 20

/** With what is to be seen of each there. */
const PRINTED: Record<string, readonly string[]> = {
  ps: ['web', 'front', '8080->80/tcp'],
  ports: ['8090/tcp', 'web'],
  'ports --all': ['8080/tcp', '8090/tcp'],
  'network ls': ['front', 'ts-front'],
  'inspect web': ['containerweb', 'ts-front'],
  'inspect 8080': ['port*:8080/tcp'],
  'egress ls web': ['OUTCOMEopen', 'ENTRYeverybody'],
  'inspect front': ['networkfront', '90-front.conflist', 'web'],
  'doctor 8090': ['nothinglistens', 'do:'],
  'trace 8090': ['8090'],
  'top --once --interval 100ms': ['tsnettop', 'CONTAINER'],
  'gc --dry-run': ['nothing'],
  'reconcile --dry-run': ['nothing'],
}

/** Needs a daemon with hosts; its table is as all of them, see test/cli/narrow.ts. */
const ELSEWHERE = ['host ls']

t.test('every command that lists is tried', async t => {
  const lists = leavesOf(commands(terminalOf(process)))
    .filter(({ command }) => command.options.some(({ long }) => long === '--format'))
    .map(({ words }) => words)
    .filter(words => !ELSEWHERE.includes(words) && !Object.keys(PRINTED).some(each => each.startsWith(words)))
  t.same(lists, [])
})

for (const by of ['Node', 'the daemon'] as const) {
  t.test(`by ${by}: no line is wider than a terminal of ${COLUMNS} columns`, async t => {
    const { scene, tsnet, network, leave } = await withNetworks(t, 'nftables', 'web')
    await network('create', 'front')
    await tsnet.run('attach', 'front', 'netns:web', '--publish', '8080:80')
    await tsnet.daemon()
    await tsnet.run('publish', '8090:90', 'netns:web')
    const env = { TSNET_DAEMON: by === 'Node' ? 'off' : 'running', TSNET_NAT: 'nftables', TERM: 'xterm' }
    for (const [words, seen] of Object.entries(PRINTED)) {
      const line = `stty cols ${COLUMNS} && ${EXECUTABLE} ${words}`
      const { stdout } = await scene.host.run('script', '-qec', line, '/dev/null', { env, mayFail: true })
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the colours of a terminal
      const plain = stdout.replace(/\u001b\[\d*[mK]/g, '').replaceAll('\r', '')
      const wide = plain.split('\n').filter(each => columnsOf(each) > COLUMNS)
      t.same(wide, [], `tsnet ${words}`)
      const read = plain.replace(/\s+/g, '')
      for (const text of seen) t.ok(read.includes(text), `tsnet ${words} tells ${text}:\n${plain}`)
    }
    await tsnet.run('unpublish', '8090')
    await leave('front', 'web')
  })
}
