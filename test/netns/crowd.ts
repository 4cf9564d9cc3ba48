/**
 * A hundred containers that come at once and go at once, without the daemon forty; in the long form two hundred.
 *
 *     host ── br-front 10.10.0.1 fd10::1 ┬─ c1   published on 8001
 *                                        ├─ …
 *                                        └─ c100 published on 8100 …
 */

import t, { type Test } from 'tap'
import type { NatBackend } from '../../src/model/network.ts'
import { listLinks } from '../../src/netlink/link/link.ts'
import { openNetlink } from '../../src/netlink/netlink.ts'
import { inside, openNetns } from '../../src/netns/netns.ts'
import { Command } from '../support/daemon.ts'
import { extent } from '../support/extent.ts'
import type { Result } from '../support/libcni.ts'
import type { Plugin } from '../support/plugin.ts'
import { addressOf } from '../support/plugin.ts'
import { ANSWERS, BACKENDS, HOST, Scene } from '../support/scene.ts'

const CROWD = extent(100, 200)
/** Without the daemon each call costs a process of Node. */
const ALONE = extent(40, 200)

t.setTimeout(extent(600_000, 1_200_000)) // on a busy machine

const names = Array.from({ length: CROWD }, (_, i) => `c${i + 1}`)
const hostPortOf = (name: string): number => 8000 + Number(name.slice(1))

/** Containers that answer, and are looked at as closely as the host is: the first, the last, and two between. */
const CLOSELY = [...new Set(['c1', 'c20', 'c40', `c${ALONE}`])]

for (const backend of BACKENDS) {
  for (const withDaemon of [false, true]) {
    const how = withDaemon ? 'with the daemon' : 'without the daemon'
    t.test(`${backend}, ${how}: all at once get addresses of their own, and leave nothing`, async t => {
      const scene = await openScene(t, backend)
      const tsnet = new Command(scene.host, backend)
      const daemon = withDaemon ? await tsnet.daemon() : undefined
      const front = scene.network('front', 10)

      const crowd = names.slice(0, withDaemon ? CROWD : ALONE)
      const began = performance.now()
      const results = await all(crowd.map(name => add(front, name)))
      const seconds = (performance.now() - began) / 1000
      for (const family of [4, 6] as const) {
        const addresses = new Set(results.map(result => addressOf(result, family)))
        t.equal(addresses.size, crowd.length, `addresses of family ${family}`)
      }
      for (const name of CLOSELY) {
        t.equal((await scene.client.ask('tcp', HOST[4], hostPortOf(name))).place, name)
      }
      await all(crowd.map(name => remove(front, name)))
      await daemon?.stop('SIGTERM')
      t.strictSame(await scene.residue(), [])
      t.strictSame(linksOf(scene), [], 'interfaces in the containers')
      t.comment(
        `figure: ${crowd.length} ADDs at once, ${backend}, ${how}: ${seconds.toFixed(1)} s in all, ${crowd.length} addresses of each family, residue 0`,
      )
    })
  }

  t.test(`${backend}: while some come and others go, who stays is left alone`, async t => {
    const scene = await openScene(t, backend)
    const front = scene.network('front', 10)
    const [go, come] = [names.slice(0, 20), names.slice(20, 40)]
    await all(go.map(name => add(front, name)))
    const [results] = await Promise.all([
      all(come.map(name => add(front, name))),
      all(go.map(name => remove(front, name))),
    ])
    t.equal(new Set(results.map(result => addressOf(result, 4))).size, come.length)
    const { place } = await scene.client.ask('tcp', HOST[4], hostPortOf('c40'))
    t.equal(place, 'c40')
    await all(come.map(name => remove(front, name)))
    t.strictSame(await scene.residue(), [])
    t.strictSame(linksOf(scene), [], 'interfaces in the containers')
  })
}

async function openScene(t: Test, backend: NatBackend): Promise<Scene> {
  const scene = await Scene.open(backend, ...CLOSELY)
  t.teardown(() => scene.close())
  const others = names.filter(name => !CLOSELY.includes(name))
  const script = 'for name; do : >/run/netns/$name; unshare --net=/run/netns/$name true; done'
  await scene.host.run('sh', '-ec', script, 'sh', ...others)
  await scene.remember()
  return scene
}

const options = (name: string) => ({
  netns: `/run/netns/${name}`,
  ports: [{ hostPort: hostPortOf(name), containerPort: ANSWERS }],
})
const add = (network: Plugin, name: string): Promise<Result> => network.add(name, options(name))
const remove = (network: Plugin, name: string): Promise<void> => network.delete(name, options(name))

/** Interfaces of the containers, but for the loopback. */
const linksOf = (scene: Scene): string[] =>
  names.flatMap(name => {
    using netns = openNetns(scene.host.path(`/run/netns/${name}`))
    const links = inside(netns, () => {
      using nl = openNetlink()
      return listLinks(nl)
    })
    return links.filter(link => link.name !== 'lo').map(link => `${name}: ${link.name}`)
  })

/** Waits for all before it tells of the first that failed: nothing may go on behind a test's back. */
async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work)
  return Promise.all(work)
}
