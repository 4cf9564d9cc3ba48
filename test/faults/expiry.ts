/** Publications that end by their time, whatever has happened to the daemon meanwhile. */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

for (const backend of BACKENDS) {
  t.test(
    `${backend}: what expires while no daemon runs ends when one starts, and the rest goes on`,
    async t => {
      const scene = await Scene.open(backend, 'web')
      t.teardown(() => scene.close())
      const front = scene.network('front', 10)
      await front.add(scene.get('web'))
      const tsnet = new Command(scene.host, backend)
      const first = await tsnet.daemon()
      await tsnet.run('publish', '--expires', '3s', `8080:${ANSWERS}`, 'netns:web')
      await tsnet.run('publish', '--expires', '1h', `8081:${ANSWERS}`, 'netns:web')
      await first.stop('SIGKILL')
      const began = Date.now()
      t.equal((await scene.client.ask('tcp', HOST[4], 8081)).place, 'web', 'rules serve on')
      await waitFor(() => Date.now() - began > 3_100, { what: 'its time to be over' })
      const second = await tsnet.daemon()
      await waitFor(async () => (await tsnet.ports()).length === 1, { what: 'the first to end' })
      await t.rejects(scene.client.ask('tcp', HOST[4], 8080), { code: 'ECONNREFUSED' })
      t.equal(
        (await scene.client.ask('tcp', HOST[4], 8081)).place,
        'web',
        'control: that of an hour is there',
      )
      await tsnet.run('unpublish', '--all')
      await front.delete(scene.get('web'))
      await second.stop('SIGTERM')
      t.strictSame(await scene.residue(), [])
    },
  )

  t.test(`${backend}: an end that a successor is given comes at its time`, async t => {
    const scene = await Scene.open(backend, 'web')
    t.teardown(() => scene.close())
    const tsnet = new Command(scene.host, backend)
    const first = await tsnet.daemon()
    const began = performance.now()
    await tsnet.run('publish', '--expires', '4s', `8080:${ANSWERS}`, 'netns:web')
    const second = await tsnet.daemon('--replace')
    await first.finished
    await waitFor(async () => (await tsnet.ports()).length === 0, { what: 'it to end', withinMs: 20_000 })
    t.ok(performance.now() - began >= 4_000, 'not before')
    await second.stop('SIGTERM')
    t.strictSame(await scene.residue(), [])
  })
}
