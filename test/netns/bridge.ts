/**
 * Containers on a bridge, on a real kernel.
 *
 *     web eth0 ─┐
 *               ├─ cni0 host
 *      db eth0 ─┘  10.1.0.1, fd01::1
 */

import t from 'tap'
import { diff, type Host, lab, type Namespace, snapshot, type World } from 'tsnet/lab'
import { connectOn, disconnectOn, releaseOn } from '../support/connect.ts'
import { linkRequest, ownerOf } from '../support/link-plan.ts'

interface Scene {
  world: World
  host: Host
  web: Namespace
  db: Namespace
}

async function scene(): Promise<Scene> {
  const world = await lab()
  const host = await world.host('host')
  return { world, host, web: await host.namespace('web'), db: await host.namespace('db') }
}

const families = {
  IPv4: { web: ['10.1.0.2/24'], db: ['10.1.0.3/24'], gateways: ['10.1.0.1'], peers: ['10.1.0.3'] },
  IPv6: { web: ['fd01::2/64'], db: ['fd01::3/64'], gateways: ['fd01::1'], peers: ['fd01::3'] },
  'dual stack': {
    web: ['10.1.0.2/24', 'fd01::2/64'],
    db: ['10.1.0.3/24', 'fd01::3/64'],
    gateways: ['10.1.0.1', 'fd01::1'],
    peers: ['10.1.0.3', 'fd01::3'],
  },
}

for (const [family, { web: webLeases, db: dbLeases, gateways, peers }] of Object.entries(families)) {
  t.test(
    `${family}: a container reaches its gateway and its neighbour, and nothing is left of it`,
    async t => {
      const { world, host, web, db } = await scene()
      const before = await snapshot(host)
      const options = { isDefaultGateway: true }
      await connectOn(host, web, linkRequest(options, { owner: ownerOf('web'), leases: webLeases }))
      await connectOn(host, db, linkRequest(options, { owner: ownerOf('db'), leases: dbLeases }))
      host.listen('tcp', 7)
      db.listen('tcp', 7)
      for (const gateway of gateways) t.match(await web.ask('tcp', gateway, 7), { place: 'host' }, gateway)
      for (const peer of peers) {
        t.match(await web.ask('tcp', peer, 7), { place: 'db' }, `${peer} from its neighbour`)
        t.match(await host.ask('tcp', peer, 7), { place: 'db' }, `${peer} from the host`)
      }
      await disconnectOn(host, ownerOf('web'))
      t.equal(await releaseOn(host, 'cni0'), false, 'the bridge stays while it has a port')
      await disconnectOn(host, ownerOf('db'))
      t.equal(await releaseOn(host, 'cni0'), true)
      t.same(
        diff(before, await snapshot(host)).filter(line => !line.startsWith('socket ')),
        [],
      )
      await world.end()
    },
  )
}
