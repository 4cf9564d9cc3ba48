/**
 * Leaving a network under an address of choice.
 *
 *     client eth0 ──── lan0 host ── br-fixed ── web         leaves as 192.168.50.77, fd50::77
 *                                └─ br-plain ── other       leaves as the host
 */

import t from 'tap'
import { ANSWERS, BACKENDS, CLIENT, HOST, Scene } from '../support/scene.ts'

t.setTimeout(600_000) // on a busy machine

const FIXED = { 4: '192.168.50.77', 6: 'fd50::77' } as const
const FAMILIES = [4, 6] as const

for (const backend of BACKENDS) {
  t.test(`${backend}: containers leave under the address of choice, and nobody else does`, async t => {
    const scene = await Scene.open(backend, 'web', 'other')
    t.teardown(() => scene.close())
    const { host, client } = scene
    const [web, other] = [scene.get('web'), scene.get('other')]
    const fixed = scene.network('fixed', 1, { egress: { address: FIXED[4], address6: FIXED[6] } })
    const plain = scene.network('plain', 2)
    await t.rejects(fixed.add(web), { message: /this host has no address 192\.168\.50\.77/ })
    t.strictSame(await scene.residue(), [], 'bad input changes nothing')
    // A deprecated one is nobody's by itself.
    const give = (verb: string) =>
      FAMILIES.map(family => {
        const words = [
          'ip',
          'address',
          verb,
          `${FIXED[family]}/${family === 4 ? 32 : 128}`,
          'dev',
          'lan0',
        ] as const
        return host.run(...words, ...(family === 6 && verb === 'add' ? ['preferred_lft', '0', 'nodad'] : []))
      })
    await Promise.all(give('add'))
    await scene.remember()
    const added = await fixed.add(web, { ports: [{ hostPort: 8080, containerPort: ANSWERS }] })
    await plain.add(other)
    for (const family of FAMILIES) {
      for (const transport of ['tcp', 'udp'] as const) {
        t.match(await web.ask(transport, CLIENT[family], ANSWERS), { peer: FIXED[family] })
        t.match(await other.ask(transport, CLIENT[family], ANSWERS), { peer: HOST[family] }, 'a control')
      }
      t.match(await client.ask('tcp', HOST[family], 8080), { place: 'web' }, 'published ports are as ever')
      t.match(await client.ask('tcp', FIXED[family], 8080), { place: 'web' })
    }
    await fixed.check(web, added)
    await Promise.all(give('delete'))
    await t.rejects(fixed.check(web, added), { message: /no address 192\.168\.50\.77 any more/ })
    await client.run('ip', 'neighbour', 'flush', 'all')
    await t.rejects(web.ask('tcp', CLIENT[4], ANSWERS, { withinMs: 500 }), 'no other address shows')
    await Promise.all(give('add'))
    await fixed.check(web, added)
    await fixed.delete(web)
    await plain.delete(other)
    t.strictSame(await scene.residue(), [])
  })
}
