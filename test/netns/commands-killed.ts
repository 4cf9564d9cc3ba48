/**
 * A daemon that is killed while it does a command: whoever asked it asks again, and what was done by then is done.
 *
 *     launcher ──▶ daemon (killed) ;  launcher becomes Node ──▶ a daemon that it starts
 *     Node     ──▶ daemon (killed) ;  Node                  ──▶ a daemon that it starts
 */

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Running } from 'tsnet/lab'
import { launchers } from '../support/calls.ts'
import { Command } from '../support/daemon.ts'
import { ALL } from '../support/faults.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000)

/** Of the daemon that was started by the way. */
const OF_A_DAEMON = /^file \/run\/tsnet(\/daemon\.log)? appeared/

const CALLERS: Record<string, [program: string, ...words: string[]]> = {
  program: [launchers.program],
  // What it does when the daemon is gone is the program's.
  ...(ALL && { script: [launchers.script] }),
  node: [process.execPath, resolve('dist/bin/tsnet.cjs'), 'tsnet'],
}

async function open(t: Test, caller: [string, ...string[]]) {
  const scene = await Scene.open('nftables', 'web')
  t.teardown(() => scene.close())
  const { host } = scene
  const network = scene.network('front', 10)
  await network.add(scene.get('web'))
  const tsnet = new Command(host, 'nftables')
  const ask = (...words: string[]) =>
    host.start(...caller, ...words, { env: { TSNET_DAEMON: 'on', TSNET_NAT: 'nftables' } })
  const end = async () => {
    const last = await tsnet.daemon('--replace')
    await last.stop('SIGTERM')
    await network.delete(scene.get('web'))
    t.strictSame(await scene.residue(line => !OF_A_DAEMON.test(line)), [])
  }
  return { scene, tsnet, ask, end }
}

const SPECS = Array.from({ length: 5 }, (_, i) => `${8080 + i}:${80 + i}`)

/** Kills at the first moment at which it is so. */
async function killWhen({ pid = 0 }: Running, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error('the moment did not come')
    await setImmediate()
  }
  process.kill(pid, 'SIGKILL')
}

for (const [name, caller] of Object.entries(CALLERS)) {
  t.test(`${name}: a daemon killed in the midst of a command: it is done, once`, async t => {
    const { scene, tsnet, ask, end } = await open(t, caller)
    const folder = scene.host.path('/run/tsnet/publications')
    const records = () =>
      existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.json')) : []

    const first = await tsnet.daemon()
    const published = ask('publish', ...SPECS, 'web')
    await killWhen(first, () => records().length > 1)
    const { stdout, ...publishing } = await published.finished
    t.equal(publishing.code, 0, publishing.stderr)
    t.match(stdout, /^(\*:\d+\/tcp -> web:\d+\n){5}$/)
    t.strictSame((await tsnet.ports()).map(each => each.hostPort).sort(), SPECS.map(Number.parseFloat))
    t.equal((await scene.host.ask('tcp', '127.0.0.1', 8080)).place, 'web')

    // Of the one that was started for it.
    const second = await tsnet.daemon('--replace')
    // By their names: those that had ended by then are no names of anything any more.
    const unpublished = ask('unpublish', ...SPECS.map(each => each.replace(/:.*/, '')))
    await killWhen(second, () => records().length < SPECS.length)
    const { code, stderr } = await unpublished.finished
    t.equal(code, 0, stderr)
    t.match(stderr, /the daemon died while it did this, and had ended \d of 5/)
    t.strictSame(await tsnet.ports(), [])
    t.notOk(existsSync(scene.host.path('/run/tsnet/choices')), 'nothing is left of what it was to end')
    await end()
  })
}

t.test('a name that nothing has is an error also where the daemon dies before it knows', async t => {
  const { scene, tsnet, ask, end } = await open(t, [launchers.program])
  await tsnet.daemon()
  await tsnet.run('publish', '8080:80', 'web')
  // One that begins the command and dies; a daemon is there again when Node asks.
  const place = scene.host.path('/run/tsnet/call.sock')
  rmSync(place)
  const dying = createServer(socket => {
    socket.on('error', () => {})
    socket.write('tsnet\n')
    socket.on('data', () => socket.destroy())
  })
  await new Promise<void>(resolve => dying.listen(place, resolve))
  const finished = await ask('unpublish', '8081').finished
  t.match(finished, { code: 1, stderr: /nothing is published as or for "?8081/ })
  t.equal((await tsnet.ports()).length, 1)
  t.match(await ask('unpublish', '8080').finished, { code: 0, stdout: /ended/ }, 'control: one that is right')
  await new Promise(resolve => dying.close(resolve))
  await end()
})
