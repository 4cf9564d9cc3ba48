/**
 * The daemon is killed at random moments at which dockerd asks it something, in half of them while a container goes, and is
 * started again. dockerd, which is played, asks again what was not answered. Who runs is served, and nothing is left.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { extent, seeds } from '../support/extent.ts'
import { PlayedDocker } from '../support/played-docker.ts'
import { ANSWERS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(extent(300_000, 3_000_000))

/** Two kills each. */
const TIMES = extent(2, 20)
/** A run takes less where nothing else is done, and an end. */
const RUN_MS = 400
const END_MS = 100

const moments = (seed: number) =>
  fc.sample(fc.record({ runs: fc.nat(RUN_MS), ends: fc.nat(END_MS) }), { seed, numRuns: TIMES })

const [seed = 1] = seeds

for (const backend of ['nftables', 'iptables'] as const) {
  t.test(`${backend}, seed ${seed}: kill -9 in the midst of run and rm`, async t => {
    const scene = await Scene.open(backend, 'a', 'b')
    t.teardown(() => scene.close())
    await scene.host.tmpfs('/var/lib/tsnet')
    await scene.remember()
    const tsnet = new Command(scene.host, backend)
    let daemon: Running = await tsnet.daemon()
    const docker = await PlayedDocker.start(scene.host)
    const front = await docker.network({ 'tsnet.name': 'front' })
    const stays = await docker.run(front, scene.get('b'))
    await docker.publish(stays, 8081, ANSWERS)

    for (const { runs, ends } of moments(seed)) {
      const killed = sleep(runs).then(async () => {
        await daemon.stop('SIGKILL')
        daemon = await tsnet.daemon()
      })
      const endpoint = await docker.run(front, scene.get('a'))
      await docker.publish(endpoint, 8080, ANSWERS)
      await killed
      const ask = () => scene.client.ask('tcp', HOST[4], 8080, { withinMs: 1000 })
      const answered = await waitFor(ask, {
        what: `an answer after a kill at ${runs} ms`,
        withinMs: 60_000,
      })
      t.match(answered, { place: 'a' }, `${runs} ms`)
      const again = sleep(ends).then(async () => {
        await daemon.stop('SIGKILL')
        daemon = await tsnet.daemon()
      })
      await docker.leave(endpoint)
      await again
      t.match(await scene.client.ask('tcp', HOST[4], 8081), { place: 'b' }, 'who stays is served')
    }
    await docker.leave(stays)
    await docker.removeNetwork(front)
    await docker.kill()
    await daemon.stop()
    const isOdd = (line: string) => !/^file (\/etc\/cni\/net\.d|\/var\/lib\/cni\/results) /.test(line)
    t.strictSame(await scene.residue(isOdd), [])
  })
}
