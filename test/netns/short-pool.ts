/**
 * A pool of one address whose container vanished without DEL: the next container gets the address, and
 * nothing that led to the one before leads to it.
 *
 *     client eth0 ──── lan0 host ── br-front 10.10.0.1 ── c1, and when it is gone c2: 10.10.0.2
 */

import t from 'tap'
import { waitFor } from 'tsnet/lab'
import { addressOf } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000)

const ports = [{ hostPort: 8080, containerPort: ANSWERS }]

for (const backend of BACKENDS) {
  /** With what a first use leaves: tables without rules, and the mark of the round robin. */
  const open = async () => {
    const scene = await Scene.open(backend, 'c2')
    const ipam = { type: 'host-local', ranges: [[{ subnet: '10.10.0.0/30' }]] }
    const front = scene.network('front', 10, { ipam })
    const second = scene.get('c2')
    await front.add(second, { ports })
    await front.delete(second, { ports })
    await scene.remember()
    return { scene, front, first: await scene.container('c1'), second }
  }

  t.test(`${backend}: the address of a vanished container is given on, its ports are not`, async t => {
    const { scene, front, first, second } = await open()
    t.teardown(() => scene.close())
    await front.add(first, { ports })
    t.equal((await scene.client.ask('tcp', HOST[4], 8080)).place, 'c1')
    await first.remove()
    await front.status()
    const result = await front.add(second)
    t.equal(addressOf(result, 4), '10.10.0.2')
    await t.rejects(scene.client.ask('tcp', HOST[4], 8080, { withinMs: 300 }), 'nobody published this')
    t.equal((await scene.host.ask('tcp', '10.10.0.2', ANSWERS)).place, 'c2')
    await front.delete(second)
    t.strictSame(await scene.residue(), [])
  })

  t.test(`${backend}: a container whose path vanished keeps address and ports while it runs`, async t => {
    const { scene, front, first, second } = await open()
    t.teardown(() => scene.close())
    await front.add(first, { ports })
    const inside = scene.host.start('nsenter', `--net=${first.path}`, 'sh', '-c', 'echo $$; exec sleep 1000')
    await waitFor(() => inside.stdout !== '', { what: 'the process to be inside' })
    await first.remove()
    await t.rejects(front.status(), { code: 50 })
    await t.rejects(front.add(second), { code: 100, message: /no IP addresses available/ })
    await front.collect(undefined)
    t.match(await scene.host.run('nsenter', '-n', '-t', inside.stdout.trim(), 'ip', 'address'), {
      stdout: /10\.10\.0\.2/,
    })
    await inside.stop()
    await front.add(second)
    await front.delete(second)
    t.strictSame(await scene.residue(), [])
  })
}
