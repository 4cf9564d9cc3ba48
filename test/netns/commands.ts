/**
 * Commands done by the daemon: to the byte what Node says, whichever launcher asks. What the daemon cannot know as
 * well is left to Node.
 */

import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t, { type Test } from 'tap'
import type { Finished, RunOptions } from 'tsnet/lab'
import { type Launcher, launchers } from '../support/calls.ts'
import { Command } from '../support/daemon.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const CLI = resolve('dist/bundle/cli.cjs')
const BY_NODE = 'by Node\n'

/** A command by a launcher, as itself or as a daemon does it. */
class Caller {
  readonly #scene: Scene
  readonly #executable: string
  readonly #env: Record<string, string>

  constructor(scene: Scene, launcher: Launcher, env: Record<string, string> = {}) {
    this.#scene = scene
    this.#executable = launchers[launcher]
    this.#env = { TSNET_DAEMON: 'running', TSNET_NAT: scene.backend, ...env }
  }

  run(...words: string[]): Promise<Finished> {
    const options: RunOptions = { env: this.#env, mayFail: true }
    return this.#scene.host.run(this.#executable, ...words, options)
  }
}

/** From now on Node says on this host that it was Node. */
async function markNode(t: Test, { host }: Scene): Promise<void> {
  const marked = join(t.testdir({}), 'cli.cjs')
  writeFileSync(marked, `(function () { process.stdout.write(${JSON.stringify(BY_NODE)}) })`)
  await host.run('mount', '--bind', marked, CLI)
}

const LINES: readonly string[][] = [
  ['ports'],
  ['publish', '8080:80', 'web'],
  ['publish', '8080:80', 'web'],
  ['publish', '--json', '8080:80', 'web'],
  ['publish', '--expires', '1h', '8081-8083:81-83/udp', 'web'],
  ['publish', '--wait', '1h', '8084:84', 'web'],
  ['publish', '--replace', '--json', '8080:81', 'web'],
  ['publish', '8090:90', 'nobody'],
  ['publish', '--json', '8090:90', 'nobody'],
  ['publish', '--bogus', '8090:90', 'web'],
  ['publish', '-p', '8090:90', 'web'],
  ['publish', '8090:90:90:90', 'web'],
  ['publish', '', 'web'],
  ['publish'],
  ['ports'],
  ['ports', '--json'],
  ['ports', 'more'],
  ['ps'],
  ['ls', '--json'],
  ['ps', '-q', '--filter', 'port=8080'],
  ['ps', '--filter', 'colour=red'],
  ['inspect', 'web'],
  ['inspect', '--json', 'web', 'front'],
  ['inspect', '8080'],
  ['inspect', '--format', '{{.Name}}', '8080/tcp'],
  ['inspect', 'nobody'],
  ['inspect', '--type', 'colour', 'web'],
  ['unpublish'],
  ['unpublish', '7'],
  ['unpublish', '--json', '7'],
  ['unpublish', '8080'],
  ['unpublish', '--json', '8081'],
  ['unpublish', '--all', 'web'],
  // Of several, whose order is that of their ids.
  ['unpublish', '8084'],
  ['unpublish', '--all', '--json'],
  ['unpublish', '--all'],
]

/** What is new each time: ids, moments, namespaces and MACs. */
const NEW =
  /\b[0-9a-f]{16}\b|"expiresAt":\d+|"ino":\d+|"cookie":"\d+"|"createdAt":"[^"]+"|\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b|since [-0-9]+ [:0-9]+|inode \d+, cookie \d+/g

const masked = ({ code, stdout, stderr }: Finished) => {
  const mask = (text: string) => text.replace(NEW, '…')
  return { code, stdout: mask(stdout), stderr: mask(stderr) }
}

t.test('whoever does a command, and whichever launcher asks, it says the same', async t => {
  const whole: Record<string, object[]> = {}
  for (const [who, launcher] of [
    ['Node', 'program'],
    ['the daemon', 'program'],
    ['the daemon, asked by a script', 'script'],
  ] as const) {
    const scene = await Scene.open('nftables', 'web')
    const network = scene.network('front', 10)
    await network.add(scene.get('web'))
    const daemon = await new Command(scene.host, 'nftables').daemon()
    if (who === 'Node') await scene.host.run('mount', '--bind', '/dev/null', '/run/tsnet/call.sock')
    else await markNode(t, scene)
    const caller = new Caller(scene, launcher)
    const said: object[] = []
    for (const words of LINES) said.push(masked(await caller.run(...words)))
    whole[who] = said
    await scene.host.run('umount', who === 'Node' ? '/run/tsnet/call.sock' : CLI)
    await daemon.stop('SIGTERM')
    await network.delete(scene.get('web'))
    t.strictSame(await scene.residue(), [], who)
    await scene.close()
  }
  const { Node: expected = [], ...others } = whole
  for (const [who, said] of Object.entries(others))
    for (const [i, line] of LINES.entries()) t.strictSame(said[i], expected[i], `${who}: ${line.join(' ')}`)
})

t.test('what depends on more of the caller than the daemon knows is left to Node', async t => {
  const scene = await Scene.open('nftables', 'web')
  t.teardown(() => scene.close())
  const daemon = await new Command(scene.host, 'nftables').daemon()
  await markNode(t, scene)
  for (const launcher of ['program', 'script'] as const) {
    const asks = (...words: string[]) => new Caller(scene, launcher).run(...words)
    t.notMatch((await asks('ports')).stdout, BY_NODE, 'a control')
    for (const words of [
      ['ports', '--all'],
      ['ports', '--help'],
      ['publish', '-h'],
      ['inspect', '--conf-dir', 'lists', 'front'],
      ['inspect', '--conf-dir=lists', 'front'],
      ['demo'],
      ['--version'],
      [],
    ])
      t.match(await asks(...words), { code: 0, stdout: BY_NODE }, `${launcher}: ${words.join(' ')}`)
    const elsewhere: Record<string, Record<string, string>> = {
      'no daemon is wanted': { TSNET_DAEMON: 'off' },
      'no daemon is there': { TSNET_RUN_DIR: '/run/other' },
      'its messages would name the directory otherwise': { TSNET_RUN_DIR: '/run/tsnet/' },
    }
    for (const [why, env] of Object.entries(elsewhere))
      t.match(await new Caller(scene, launcher, env).run('ports'), { stdout: BY_NODE }, `${launcher}: ${why}`)
    const beside = new Caller(scene, launcher, { NETCONFPATH: 'lists' })
    t.match(await beside.run('ps'), { stdout: BY_NODE }, `${launcher}: a path from where it is`)
    const { host } = scene
    const other = await host.run('unshare', '-m', launchers[launcher], 'ports', { env: {} })
    t.match(other, { stdout: BY_NODE }, `${launcher}: other files`)
    const namespace = await host.run('unshare', '-n', launchers[launcher], 'ports', { env: {} })
    t.match(namespace, { stdout: BY_NODE }, `${launcher}: another network namespace`)
  }
  await daemon.stop('SIGTERM')
})

t.test(
  'where networks and runtimes are, the environment of whoever asks tells, not that of the daemon',
  async t => {
    const scene = await Scene.open('nftables', 'web')
    t.teardown(() => scene.close())
    const daemon = await new Command(scene.host, 'nftables').daemon()
    await markNode(t, scene)
    const lists = t.testdir({
      'side.conflist': JSON.stringify({ cniVersion: '1.1.0', name: 'side', plugins: [{ type: 'tsnet' }] }),
    })
    const ask = (env: Record<string, string>) => new Caller(scene, 'program', env).run('inspect', 'side')
    t.match(
      await ask({}),
      { code: 1, stderr: /there is no container, published port or network "?side/ },
      'a control',
    )
    t.match(await ask({ NETCONFPATH: lists }), { code: 0, stdout: /side/ })
    await daemon.stop('SIGTERM')
  },
)

t.test('an error is red for whoever has a terminal, and without colours wanted it is not', async t => {
  const scene = await Scene.open('nftables', 'web')
  t.teardown(() => scene.close())
  const daemon = await new Command(scene.host, 'nftables').daemon()
  await markNode(t, scene)
  const onTerminal = (env: Record<string, string>) =>
    scene.host.run('script', '-qec', `${launchers.program} unpublish 7`, '/dev/null', {
      env: { TERM: 'xterm', ...env },
      mayFail: true,
    })
  t.match(await onTerminal({}), { code: 1, stdout: '\u001b[31mtsnet:\u001b[0m nothing is published as' })
  t.match(await onTerminal({ NO_COLOR: '1' }), { code: 1, stdout: /^tsnet: nothing is published as/ })
  await daemon.stop('SIGTERM')
})
