/**
 * A real dockerd, or the daemon, is killed at random moments of `docker run` and `docker rm`, and started again. Who runs is
 * served all the while; after `docker rm` nothing is left, and the next one has the name, the address and the port.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { type Running, waitFor } from 'tsnet/lab'
import { clientReads, dockerSite, members, OURS, residue } from '../support/docker-network.ts'
import { extent, seeds } from '../support/extent.ts'
import { at } from '../support/site.ts'

t.setTimeout(extent(600_000, 6_000_000))

/** One kill in `docker run`, and one in `docker rm`. */
const TIMES = extent(2, 20)

const VICTIMS = ['dockerd', 'daemon'] as const

/** Of how long the command takes where nobody is killed. */
const moment = fc.record({
  victim: fc.constantFrom(...VICTIMS),
  percent: fc.noBias(fc.nat(120)),
})

const [seed = 1] = seeds

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

t.test(`seed ${seed}: kill -9 of dockerd and of the daemon in the midst of docker run and rm`, async t => {
  const { site, host, tsnet, docker, before, ...first } = await dockerSite(t, '--live-restore')
  let daemon: Running = first.daemon
  await docker.run(
    'network',
    'create',
    ...OURS,
    '--subnet',
    '10.66.0.0/24',
    '-o',
    'tsnet.name=front',
    'front',
  )
  await docker.web('stays', '--network', 'front', '-p', '8081:80')
  const run = () => docker.web('web', '--network', 'front', '--ip', '10.66.0.7', '-p', '8080:80')
  const remove = () => docker.run('rm', '-f', 'web')

  const kill: Record<(typeof VICTIMS)[number], () => Promise<void>> = {
    dockerd: async () => {
      await docker.down('SIGKILL')
      await stays('dockerd is dead')
      await docker.up()
    },
    daemon: async () => {
      await daemon.stop('SIGKILL')
      await stays('the daemon is dead')
      daemon = await tsnet.daemon()
    },
  }
  const stays = async (when: string) =>
    t.equal(await clientReads(site, 8081), `web saw ${at.client.v4}`, `who stays is served: ${when}`)
  const onlyStays = () =>
    waitFor(async () => (await members(tsnet, 'front')).length === 1, {
      what: 'nobody else to be on the network',
      withinMs: 60_000,
    })

  const takes = { run: await timed(run), rm: await timed(remove) }
  const moments = fc.sample(fc.record({ run: moment, rm: moment }), { seed, numRuns: TIMES })
  for (const [index, each] of moments.entries()) {
    for (const verb of ['run', 'rm'] as const) {
      const { victim, percent } = each[verb]
      const when = `${index}: ${victim} at ${percent} % of ${verb}`
      if (verb === 'rm') await run()
      const killed = sleep((percent * takes[verb]) / 100).then(kill[victim])
      // Whether it succeeds is chance.
      await (verb === 'run' ? run() : remove()).catch(() => {})
      await killed
      await stays(when)
      await remove().catch(thrown => t.match(String(thrown), /No such container/i, when))
      await onlyStays()
    }
    await run()
    t.equal(await clientReads(site, 8080), `web saw ${at.client.v4}`, `${index}: the next is served`)
    await remove()
  }
  await docker.run('rm', '-f', 'stays')
  await docker.run('network', 'rm', 'front')
  t.same(await residue(host, before, docker), [])
  await daemon.stop()
})
