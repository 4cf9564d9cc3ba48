/**
 * The daemon is killed at forty random moments, in half of them while a container goes, in which dockerd asks it something, and is started again; dockerd, which is
 * played, asks again what was not answered. Who runs is served, and nothing is left.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { PlayedDocker } from '../support/played-docker.ts'
import { ANSWERS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(1_200_000) // on a busy machine

const TIMES = 20
/** A run and an end take less where nothing else is done. */
const WITHIN_MS = 400

for (const backend of ['nftables'] as const) {
  t.test(`${backend}: kill -9 in the midst of run and rm`, async t => {
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

    for (let time = 0; time < TIMES; time++) {
      const afterMs = Math.floor(Math.random() * WITHIN_MS)
      const killed = sleep(afterMs).then(async () => {
        await daemon.stop('SIGKILL')
        daemon = await tsnet.daemon()
      })
      const endpoint = await docker.run(front, scene.get('a'))
      await docker.publish(endpoint, 8080, ANSWERS)
      await killed
      const ask = () => scene.client.ask('tcp', HOST[4], 8080, { withinMs: 1000 })
      const answered = await waitFor(ask, {
        what: `an answer after a kill at ${afterMs} ms`,
        withinMs: 60_000,
      })
      t.match(answered, { place: 'a' }, `${afterMs} ms`)
      const again = sleep(Math.floor(Math.random() * 100)).then(async () => {
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
