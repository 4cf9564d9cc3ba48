/**
 * How long a container is exposed after somebody has flushed all rules: a client of the host's network sends to its
 * address every millisecond, which the guards forbid.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { Attacker, now } from '../support/exposure.ts'
import { addressOf } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(300_000)

const FLUSHES = Number(process.env.TEST_FLUSHES ?? 20)
/** Apart, so that nobody takes them for a fight. */
const APART_MS = 5_500
const FEW = 3

for (const backend of BACKENDS) {
  t.test(`${backend}: after a flush nobody gets through for long`, async t => {
    const scene = await Scene.open(backend, 'a')
    t.teardown(() => scene.close())
    const daemon = await new Command(scene.host, backend).daemon()
    const result = await scene.network('front', 10).add(scene.get('a'))
    const address = addressOf(result, 4)
    await scene.client.run('ip', 'route', 'add', '10.10.0.0/16', 'via', HOST[4])
    const attacker = new Attacker(scene.client, address, ANSWERS)
    const exposedMs: number[] = []
    for (let flush = 0; flush < FLUSHES; flush++) {
      const before = attacker.times.length
      const began = now()
      await scene.host.run('nft', 'flush', 'ruleset')
      const through = (await attacker.settled()).slice(before)
      exposedMs.push(through.length === 0 ? 0 : (through.at(-1) ?? 0) - (through[0] ?? 0))
      if ((flush + 1) % FEW === 0)
        await waitFor(() => now() - began > APART_MS, { what: 'peace', withinMs: 10_000 })
    }
    await attacker.end()
    const sorted = exposedMs.toSorted((a, b) => a - b)
    const at = (share: number) => (sorted[Math.ceil(share * sorted.length) - 1] ?? 0).toFixed(1)
    t.comment(`${backend}: exposed for p50 ${at(0.5)}, p90 ${at(0.9)}, most ${at(1)} ms of ${FLUSHES}`)
    t.ok(Number(at(0.5)) < 100, `half of them ${at(0.5)} ms at most`)
    await daemon.stop('SIGTERM')
  })
}
