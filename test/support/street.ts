/**
 * A host with two containers, and a client beside it:
 *
 *     client eth0 ──────── lan0 host br0 ──────── eth0 web      10.9.0.2     fd09::2
 *       192.168.50.2  192.168.50.1   10.9.0.1
 *       fd50::2            fd50::1   fd09::1           hollow   lo and nothing else
 */

import { type Host, lab, type Namespace, type World } from 'tsnet/lab'

export interface Street extends AsyncDisposable {
  world: World
  host: Host
  client: Host
  web: Namespace
  hollow: Namespace
}

export async function street(): Promise<Street> {
  const world = await lab()
  const host = await world.host('host')
  const client = await world.host('client')
  const web = await host.namespace('web')
  const hollow = await host.namespace('hollow')
  world.wire(
    [host, 'lan0', '192.168.50.1/24', '192.168.50.77/24', 'fd50::1/64', 'fd50::77/64'],
    [client, 'eth0', '192.168.50.2/24', 'fd50::2/64'],
  )
  world.wire([host, 'web0'], [web, 'eth0', '10.9.0.2/24', 'fd09::2/64'])
  host.bridge('br0', { addresses: ['10.9.0.1/24', 'fd09::1/64'], ports: ['web0'] })
  web.route('default', '10.9.0.1')
  web.route('default', 'fd09::1')
  return {
    world,
    host,
    client,
    web,
    hollow,
    async [Symbol.asyncDispose]() {
      await world.end()
    },
  }
}
