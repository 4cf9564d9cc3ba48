/**
 * The guard of macspoofchk around an ADD: it stands before the first frame, and costs the same beside many others.
 *
 *     host ── br-front 10.10.0.1 ┬─ ear   listens
 *                                └─ liar  sends under a false name as soon as it has an interface
 */

import { resolve } from 'node:path'
import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { totalIn } from '../../bench/system-calls.ts'
import { Ear, frame, sendFrame } from '../support/frames.ts'
import { Plugin } from '../support/plugin.ts'
import { BACKENDS, Scene } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

const FALSE_MAC = '02:00:00:00:66:66'
const ROUNDS = 3
const EXECUTABLES = { tsnet: resolve('dist/bin/tsnet'), bridge: resolve('dist/drop-in/bridge') }

for (const role of ['tsnet', 'bridge'] as const) {
  t.test(`${role}: a container that lies from its first moment on is not heard`, async t => {
    const scene = await Scene.open('nftables', 'ear', 'liar')
    t.teardown(() => scene.close())
    const { config } = scene.network('front', 10, { type: role })
    const network = (macspoofchk: boolean) =>
      new Plugin(scene.host, 'nftables', { ...config, macspoofchk }, EXECUTABLES[role])
    const [listener, liar] = [scene.get('ear'), scene.get('liar')]
    await network(false).add(listener)
    using ear = new Ear(listener, 'eth0')

    /** How often he is heard while he is attached: he tries all the time. */
    const heardDuring = async (macspoofchk: boolean, mark: string): Promise<boolean> => {
      let isOver = false
      const added = network(macspoofchk)
        .add(liar)
        .finally(() => {
          isOver = true
        })
      let isSent = false
      while (!isOver || !isSent) {
        isSent = tryToSend(mark) || isSent
        await new Promise(setImmediate)
      }
      await added
      const heard = ear.heard(mark)
      await network(macspoofchk).delete(liar)
      return heard
    }
    const tryToSend = (mark: string): boolean => {
      try {
        sendFrame(liar, 'eth0', frame({ from: FALSE_MAC }, 0x0806, [], mark))
        return true
      } catch {
        return false // There is no interface, or it is not up.
      }
    }
    t.ok(await heardDuring(false, 'unguarded'), 'control: without a guard he is heard')
    for (let round = 0; round < ROUNDS; round++) t.notOk(await heardDuring(true, `guarded-${round}-`))
    await network(false).delete(listener)
  })
}

const OTHERS = 1_000
/**
 * In system calls of sockets: what answers with many parts is asked for more, and iptables reads some of it again where
 * another changed it meanwhile. Whoever looked at each of the others would need a thousand.
 */
const MORE = 40

for (const backend of BACKENDS) {
  t.test(`${backend}: a guarded container costs the same beside a thousand others`, async t => {
    const scene = await Scene.open(backend, 'a')
    t.teardown(() => scene.close())
    const { host } = scene
    // Somebody else's rules, through which a way out is looked for.
    await host.run(
      'nft',
      'add table ip others; add chain ip others f { type filter hook forward priority 0; }',
    )
    const counts = '/run/counts'
    const call = async (command: 'add' | 'delete'): Promise<number> => {
      const counting = `strace -f -c -e trace=network -o ${counts} ${EXECUTABLES.tsnet}`
      const script = `#!/bin/sh\nexec ${counting}\n`
      await host.run('sh', '-c', 'cat >/run/counted; chmod +x /run/counted', { stdin: script })
      const { config } = scene.network('front', 10, { macspoofchk: true })
      await new Plugin(host, backend, config, '/run/counted')[command](scene.get('a'))
      const { stdout } = await host.run('cat', counts)
      return totalIn(stdout)
    }
    const both = async () => [await call('add'), await call('delete')] as const
    // Now and then a call with iptables reads something once more, alone as well as beside others.
    const least = async () => {
      const turns = [await both(), await both(), await both()]
      return [0, 1].map(which => Math.min(...turns.map(turn => turn[which] ?? Number.NaN))) as [
        number,
        number,
      ]
    }
    await both() // The first call of a host finds things that nobody has looked at yet.
    const [add, del] = await least()
    const tables = Array.from(
      { length: OTHERS },
      (_, i) => `netdev tsnet-${i.toString(16).padStart(16, '0')}`,
    )
    const document = tables.map(table => `add table ${table}\nadd chain ${table} container\n`).join('')
    await host.run('nft', '-f', '-', { stdin: document })
    const [addBeside, delBeside] = await least()
    t.ok(addBeside <= add + MORE, `ADD: ${add} calls of sockets alone, ${addBeside} beside others`)
    t.ok(delBeside <= del + MORE, `DEL: ${del} calls of sockets alone, ${delBeside} beside others`)
  })
}

t.test('what a guard is put in place of goes with it', async t => {
  const scene = await Scene.open('nftables', 'a')
  t.teardown(() => scene.close())
  const front = scene.network('front', 10, { macspoofchk: true })
  const result = await front.add(scene.get('a'))
  const { stdout } = await scene.host.run('nft', 'list', 'tables', 'netdev')
  const table = stdout.trim().replace('table ', '')
  t.match(table, /^netdev tsnet-[0-9a-f]{16}$/)
  await scene.host.run('nft', 'flush', 'chain', ...table.split(' '), 'container')
  const why = { message: /spoof guard of \S+ has 0 of \d+ rules in container/ }
  await t.rejects(front.check(scene.get('a'), result), why)
  await front.delete(scene.get('a'))
  await waitFor(async () => (await scene.host.run('nft', 'list', 'tables')).stdout === '', {
    what: 'nothing to be left',
  })
})
