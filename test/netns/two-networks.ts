/**
 * A container on two networks that publishes the same ports on both: whoever asks for them is answered as long
 * as the container is on one of them.
 *
 *     client eth0 ──── lan0 host ─┬─ br1 ─── eth1 ┬ web     8080 of the host → 80, given to both
 *                                 └─ br2 ─── eth2 ┘
 */

import t, { type Test } from 'tap'
import { waitFor } from 'tsnet/lab'
import { Command } from '../support/daemon.ts'
import { answering } from '../support/reach.ts'
import { HOST, Scene } from '../support/scene.ts'
import { Joining, KEPT, type Kind, keepAsking, prepare } from '../support/two-networks.ts'

t.setTimeout(600_000) // on a busy machine

async function open(t: Test, kind: Kind, { daemon = false } = {}): Promise<Scene> {
  const backend = kind.endsWith('nftables') ? 'nftables' : 'iptables'
  const scene = await Scene.open(backend, 'web', 'other')
  t.teardown(() => scene.close())
  await prepare(scene)
  // What stays when a chain has gone: bridges, and forwarding for all.
  if (daemon) await new Command(scene.host, backend).daemon()
  await scene.remember()
  return scene
}

const nothingOurs = async (t: Test, scene: Scene) =>
  t.strictSame(await scene.residue(line => !KEPT.test(line)), [])

/** Of two networks, and whether a daemon runs. */
const pairs: [Kind, Kind, boolean][] = [
  ['tsnet/iptables', 'tsnet/iptables', false],
  ['tsnet/iptables', 'tsnet/iptables', true],
  ['tsnet/nftables', 'tsnet/nftables', false],
  ['tsnet/nftables', 'tsnet/nftables', true],
  ['chain/iptables', 'chain/iptables', false],
  ['chain/nftables', 'chain/nftables', false],
  ['tsnet/iptables', 'tsnet/nftables', false],
  ['tsnet/nftables', 'chain/nftables', true],
  ['chain/nftables', 'tsnet/iptables', false],
  ['chain/iptables', 'tsnet/nftables', true],
  ['chain/iptables', 'tsnet/iptables', false],
]

/** How it ends for whom the network that goes was just answering. */
const CUT_OFF = ['ETIMEDOUT', 'ECONNRESET']

for (const [first, second, daemon] of pairs) {
  const how = `${first} and ${second}${daemon ? ', with the daemon' : ''}`
  t.test(`${how}: the ports are led to one network after the other, and never to none`, async t => {
    const scene = await open(t, first, { daemon })
    const { client, host } = scene
    const web = scene.get('web')
    const [one, two] = [new Joining(scene, first, 1, web), new Joining(scene, second, 2, web)]
    const outside = () => client.ask('tcp', HOST[4], 8080, { withinMs: 3000 })
    const outsideUdp = () => answering(client, 'udp', HOST[4], 8053)
    const inside = () => host.ask('tcp', '127.0.0.1', 8080, { withinMs: 3000 })
    await one.add()
    await two.add()
    for (const each of [one, two]) await each.check()
    t.match(await outside(), { place: 'web' })
    t.equal(await outsideUdp(), 'web')
    const rival = new Joining(scene, second, 2, scene.get('other'))
    await t.rejects(rival.add(), { code: 101, message: /8080/ }, 'another container is refused')
    await rival.delete()

    const bothHeld = daemon && first.startsWith('tsnet') && second.startsWith('tsnet')
    const asked = [outside, ...(bothHeld ? [inside] : [])].map(keepAsking)
    t.teardown(() => Promise.all(asked.map(each => each.end())))
    await two.delete()
    await one.check()
    await two.add()
    await one.delete()
    await two.check()
    for (const each of asked) {
      const refused = (await each.end()).filter(code => !CUT_OFF.includes(code))
      t.strictSame(refused, [], 'nobody was refused')
      t.ok(each.count() > 10, `${each.count()} were answered`)
    }
    t.match(await outside(), { place: 'web' })
    t.equal(await outsideUdp(), 'web')
    if (daemon) {
      const answered = () => inside().then(Boolean, () => false)
      await waitFor(answered, { what: 'an answer on loopback' })
    }

    await one.add()
    for (const each of [one, two]) await each.check()
    await two.delete()
    await one.check()
    t.match(await outside(), { place: 'web' }, 'led back')
    t.equal(await outsideUdp(), 'web')
    await one.delete()
    await t.rejects(outside())
    await nothingOurs(t, scene)
  })
}
