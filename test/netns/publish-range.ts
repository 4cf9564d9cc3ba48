/**
 *     client eth0 ───────────── lan0 host ─── br-front ─── web
 *
 * Ten thousand ports are one publication: one rule or one map, one process, and not much memory.
 */

import { readFileSync } from 'node:fs'
import t from 'tap'
import { Command } from '../support/daemon.ts'
import { BACKENDS, HOST, Scene } from '../support/scene.ts'

const FIRST = 20_000
const TARGET = 30_000
const PORTS = 10_000
const SAMPLES = 100
const MEGABYTES = 60

for (const backend of BACKENDS) {
  t.test(`${backend}: ten thousand ports are published at once, and every sampled one answers`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    const web = scene.get('web')
    const sampled = Array.from(
      { length: SAMPLES },
      (_, i) => FIRST + Math.floor((i * (PORTS - 1)) / (SAMPLES - 1)),
    )
    for (const port of sampled) web.listen('tcp', port - FIRST + TARGET)
    await scene.remember()
    const network = scene.network('front', 10)
    await network.add(web)
    const tsnet = new Command(scene.host, backend)
    const daemon = await tsnet.daemon()
    await tsnet.ports()
    const before = memoryOf(daemon.pid)

    const began = performance.now()
    await tsnet.run('publish', `${FIRST}-${FIRST + PORTS - 1}:${TARGET}-${TARGET + PORTS - 1}`, 'web')
    const elapsed = performance.now() - began
    const added = memoryOf(daemon.pid) - before
    t.comment(`${elapsed.toFixed(0)} ms, ${added.toFixed(1)} MB`)
    t.ok(added < MEGABYTES, `${added} MB`)
    t.equal((await tsnet.ports()).length, 1)

    for (const [place, address] of [
      [scene.host, '127.0.0.1'],
      [scene.client, HOST[4]],
      [scene.client, HOST[6]],
    ] as const) {
      const answers = await Promise.all(sampled.map(port => place.ask('tcp', address, port)))
      t.strictSame(
        new Set(answers.map(answer => answer.place)),
        new Set(['web']),
        `${place.name} → ${address}`,
      )
    }
    await tsnet.run('unpublish', 'web')
    for (const port of [sampled[0] ?? 0, sampled[50] ?? 0, sampled[99] ?? 0])
      await t.rejects(scene.client.ask('tcp', HOST[4], port), { code: 'ECONNREFUSED' })
    await network.delete(web)
    await daemon.stop('SIGTERM')
    t.same(await scene.residue(), [])
  })
}

/** Memory of a process in MB, as top has it. */
function memoryOf(pid: number | undefined): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) / 1000
}
