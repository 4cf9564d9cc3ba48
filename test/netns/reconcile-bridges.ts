/**
 * Bridges that cannot be put back: whose they are, and what to do, is said; and once it is done all comes back.
 *
 *     host ── br-front 10.10.0.1 ─── web
 */

import t from 'tap'
import type { Finished } from 'tsnet/lab'
import type { Found } from '../../src/network/reconcile/reconcile.ts'
import { Command } from '../support/daemon.ts'
import { Scene } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

const CASES = {
  "a bridge that is somebody's, and is gone": {
    prepare: 'ip link add br-front address 02:00:00:00:aa:01 type bridge; ip link set br-front up',
    take: 'ip link delete br-front',
    what: 'bridge br-front is gone, which tsnet did not make',
    why: /^make it again as it was, then run tsnet reconcile/,
    cure: 'ip link add br-front address 02:00:00:00:aa:01 type bridge',
  },
  'something else in the place of a bridge of ours': {
    prepare: 'true',
    take: 'ip link delete br-front; ip link add br-front type ifb',
    what: 'br-front is no bridge any more, but a link of kind ifb',
    why: /^give it another name .*, then run tsnet reconcile/,
    cure: 'ip link set br-front down name other',
  },
}

for (const [name, { prepare, take, what, why, cure }] of Object.entries(CASES)) {
  t.test(`${name}: it is said what is so and what to do, and then all comes back`, async t => {
    const scene = await Scene.open('nftables', 'web')
    t.teardown(() => scene.close())
    const { host } = scene
    await host.run('sh', '-ec', prepare)
    const front = scene.network('front', 10)
    const tsnet = new Command(host, 'nftables')
    const result = await front.add(scene.get('web'))
    await host.run('sh', '-ec', take)
    const told = async () => {
      const { code, stdout } = await tsnet.run('reconcile', '--json').catch(thrown => thrown as Finished)
      return { code, found: JSON.parse(stdout) as Found[] }
    }
    const { code, found } = await told()
    t.equal(code, 1)
    t.match(
      found.find(each => each.what === what),
      { outcome: 'kept', why },
    )
    await host.run('sh', '-ec', cure)
    t.equal((await told()).code, 0)
    t.strictSame(await told(), { code: 0, found: [] })
    await front.check(scene.get('web'), result)
    await front.delete(scene.get('web'))
  })
}
