/**
 * Commands that change the system, rehearsed and watched: `--dry-run` leaves everything as it is, and says what would be
 * done; `--verbose` says what is.
 */

import t from 'tap'
import { diff, snapshot } from 'tsnet/lab'
import { commands } from '../../src/cli/cli.ts'
import { leavesOf } from '../../src/cli/command.ts'
import { withNetworks } from '../support/networks.ts'
import { BACKENDS } from '../support/scene.ts'

t.setTimeout(600_000)

/** Commands that change nothing of the system. */
const LOOKING = [
  ...['check', 'egress learn', 'egress ls', 'events', 'graph', 'host inspect', 'host ls', 'inspect'],
  ...['network inspect', 'network ls', 'ports', 'ps', 'resolve', 'top'],
]

/** Of commands that do, those that lack an option of the two, and why. */
const LACKING: Record<string, { options: string[]; why: string }> = {
  daemon: { options: ['--dry-run', '--verbose'], why: 'it changes what others ask it for' },
  demo: { options: ['--dry-run', '--verbose'], why: 'it plays in a sandbox, and says what it does' },
  doctor: { options: ['--dry-run'], why: 'without --fix it says what it would do' },
  install: { options: ['--verbose'], why: 'it says each step in any case' },
  'oci-hook': { options: ['--dry-run', '--verbose'], why: 'runtimes call it' },
  trace: { options: ['--dry-run', '--verbose'], why: 'what it makes for its packet is gone when it ends' },
  uninstall: { options: ['--verbose'], why: 'it says each step in any case' },
}

t.test('every command that changes the system can be rehearsed, and says what it does', async t => {
  const all = leavesOf(commands({ out() {}, error() {}, lively: false, livelyErrors: false }))
  const names = all.map(({ words }) => words)
  for (const known of [...LOOKING, ...Object.keys(LACKING)]) t.ok(names.includes(known), known)
  for (const { words, command } of all) {
    const has = (option: string) => command.options.some(({ long }) => long === option)
    const lacks = ['--dry-run', '--verbose'].filter(option => !has(option))
    if (LOOKING.includes(words)) t.equal(lacks.length, 2, `${words} has nothing to rehearse`)
    else t.same(lacks, LACKING[words]?.options ?? [], `${words}: ${LACKING[words]?.why ?? 'has both'}`)
  }
})

/** What is rehearsed before it is done: of each the words, what a dry run prints, and what is said while it is done. */
const STEPS = [
  {
    words: ['network', 'create', 'front', '--subnet', '10.77.0.0/24'],
    rehearsed: /^\[#\] write \S+90-front\.conflist\n\{\n {2}"cniVersion"/,
    told: [/^\[#\] write \S+90-front\.conflist$/m],
  },
  {
    words: ['attach', 'front', 'netns:a'],
    rehearsed: /^\[#\] env CNI_COMMAND=ADD .*CNI_IFNAME=eth0 .* tsnet <<<'\{/,
    told: [
      /^\[#\] env CNI_COMMAND=ADD .* tsnet <<</m,
      /^\[#\] ip link add name ts-front .* type bridge$/m,
      /^\[#\] ip link set dev eth0 .*up.* \(in net:\[\d+\]\)$/m,
    ],
  },
  {
    words: ['egress', 'set', 'netns:a', '192.0.2.7:443'],
    rehearsed: /^would let a eth0 front reach 192\.0\.2\.7:443\/tcp\n$/,
    told: [/^\[#\] nft .*tsnet-reach/m],
  },
  {
    words: ['publish', '8080:80', 'netns:a'],
    rehearsed: /^would publish \*:8080\/tcp -> netns:a:80\n$/,
    told: [],
  },
  {
    words: ['unpublish', '8080'],
    rehearsed: /^would end \*:8080\/tcp -> netns:a:80\n$/,
    told: [],
  },
  {
    words: ['detach', 'front', 'netns:a'],
    rehearsed: /^\[#\] env CNI_COMMAND=DEL .* tsnet <<<'\{/,
    told: [/^\[#\] env CNI_COMMAND=DEL /m, /^\[#\] ip link (delete|del) /m],
  },
  {
    words: ['network', 'rm', 'front'],
    rehearsed: /^\[#\] rm \S+90-front\.conflist\n$/,
    told: [/^\[#\] rm \S+90-front\.conflist$/m],
  },
] as const

const RULES = {
  nftables: /^\[#\] nft create element inet tsnet ports4$/m,
  iptables: /^\[#\] iptables -t nat -A /m,
}
// Rules of iptables are deleted by their handles as well.
const NO_RULES = /^\[#\] nft delete (element inet tsnet|rule ip nat) /m

/** A command that took rules of iptables ends after a while, then with 15 letters of its name; the kernel says of itself that it has an address. */
const BY_ITSELF = /iptables-restor|fe80::|^connection .* dst=(224\.|ff02:)/

for (const backend of BACKENDS)
  t.test(`${backend}: a dry run leaves everything as it is, and what is done is said`, async t => {
    const { scene, tsnet } = await withNetworks(t, backend, 'a')
    const { host } = scene
    const run = (...words: readonly string[]) => tsnet.try(...words)
    const daemon = await tsnet.daemon()
    for (const { words, rehearsed, told } of STEPS) {
      const line = words.join(' ')
      const before = await snapshot(host)
      const dry = await run(...words, '--dry-run')
      t.match(dry, { code: 0, stdout: rehearsed, stderr: '' }, line)
      const changed = diff(before, await snapshot(host)).filter(each => !BY_ITSELF.test(each))
      t.same(changed, [], `${line}: as it was`)
      const done = await run(...words, '--verbose')
      t.equal(done.code, 0, `${line}: ${done.stderr}`)
      const isPublish = words[0] === 'publish'
      const rules = isPublish ? [RULES[backend]] : words[0] === 'unpublish' ? [NO_RULES] : []
      for (const each of [...told, ...rules]) t.match(done.stderr, each, line)
      t.notMatch(done.stdout, /\[#\]/, `${line}: its answer is what it is`)
    }
    t.notMatch((await run('network', 'create', 'front')).stderr, /\[#\]/, 'nobody asked')
    const refused = [
      [['publish', '--dry-run', '80:80', 'nobody'], /no container answers to "nobody"/],
      [['network', 'create', 'front', '--dry-run'], /there is a network front already/],
      [['attach', 'back', 'netns:a', '--dry-run'], /back/],
      [['detach', 'front', 'netns:a', '--dry-run'], /is not on network front/],
    ] as const
    for (const [words, why] of refused) {
      const { code, stdout, stderr } = await run(...words)
      t.ok(code > 0, words.join(' '))
      t.equal(stdout, '')
      t.match(stderr, why)
    }
    await run('network', 'rm', 'front')
    await daemon.stop('SIGTERM')
  })
