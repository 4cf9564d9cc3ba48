/**
 * How long a container is exposed after somebody has flushed all rules: a client of the host's network sends to its
 * address every millisecond, which the guards forbid. And how long its published port is dead: another asks it as often.
 * The times are figures: on a busy machine they say how busy it is.
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { Asker, Attacker, now } from '../support/exposure.ts'
import { extent } from '../support/extent.ts'
import { addressOf } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(extent(600_000, 1_800_000))

const FLUSHES = Number(process.env.TEST_FLUSHES ?? extent(8, 100))
/** Apart, so that nobody takes them for a fight. */
const APART_MS = 5_500
const FEW = 3
const PORT = 8002

/** What this share of them is not above. */
function at(all: readonly number[], share: number): number {
  const sorted = all.toSorted((a, b) => a - b)
  return Math.round((sorted[Math.ceil(share * sorted.length) - 1] ?? 0) * 10) / 10
}

for (const backend of BACKENDS) {
  t.test(`${backend}: after a flush nobody gets through for long`, async t => {
    const scene = await Scene.open(backend, 'a')
    t.teardown(() => scene.close())
    const daemon = await new Command(scene.host, backend).daemon()
    const ports = [{ hostPort: PORT, containerPort: ANSWERS, protocol: 'udp' }]
    const result = await scene.network('front', 10).add(scene.get('a'), { ports })
    const address = addressOf(result, 4)
    await scene.client.run('ip', 'route', 'add', '10.10.0.0/16', 'via', HOST[4])
    const attacker = new Attacker(scene.client, address, ANSWERS)
    const asker = new Asker(scene.client, HOST[4], PORT)
    await asker.deadSince(now())
    const exposedMs: number[] = []
    const deadMs: number[] = []
    for (let flush = 0; flush < FLUSHES; flush++) {
      const before = attacker.times.length
      const began = now()
      await scene.host.run('nft', 'flush', 'ruleset')
      const through = (await attacker.settled()).slice(before)
      exposedMs.push(through.length === 0 ? 0 : (through.at(-1) ?? 0) - (through[0] ?? 0))
      deadMs.push(await asker.deadSince(began))
      if ((flush + 1) % FEW === 0)
        await waitFor(() => now() - began > APART_MS, { what: 'peace', withinMs: 10_000 })
    }
    await Promise.all([attacker.end(), asker.end()])
    const said = (all: number[]) =>
      `p50 ${at(all, 0.5)}, p90 ${at(all, 0.9)}, p99 ${at(all, 0.99)} ms of ${FLUSHES}`
    t.comment(`figure: exposed after a flush, ${backend}: ${said(exposedMs)}`)
    t.comment(`figure: a published port dead after a flush, ${backend}: ${said(deadMs)}`)
    t.equal(exposedMs.length, FLUSHES, 'each time he was kept out again, and the port answered again')
    await daemon.stop('SIGTERM')
  })
}
