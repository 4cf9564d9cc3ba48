/** CHECK names everything about a link that is not as it was made. */

import t from 'tap'
import { type Host, lab, type Namespace, type World } from 'tsnet/lab'
import { verifyLink } from '../../src/bridge/bridge.ts'
import { parseCidr } from '../../src/model/address/address.ts'
import type { Attachment, BridgeOptions } from '../../src/model/network.ts'
import { ownerTag } from '../../src/model/network.ts'
import { connectOn } from '../support/connect.ts'
import { linkRequest, plainOptions } from '../support/link-plan.ts'

const KEY = { network: 'lab', containerId: 'web', ifname: 'eth0' }

interface Scene {
  world: World
  host: Host
  web: Namespace
  verify(options?: BridgeOptions): string[]
}

async function scene(options: Partial<BridgeOptions>, leases: string[]): Promise<Scene> {
  const world = await lab()
  const host = await world.host('host')
  const web = await host.namespace('web')
  const routes = leases.length > 0 ? [{ dst: parseCidr('192.168.7.0/24'), priority: 9 }] : []
  const request = linkRequest(options, { owner: ownerTag(KEY), leases, routes })
  const { plan, owner, ...connection } = await connectOn(host, web, request)
  const attachment: Attachment = {
    ...KEY,
    ...connection,
    netns: { path: web.path, ...web.netns.id },
    bootId: '',
    createdAt: '',
    bridgeName: 'cni0',
    ipam: { kind: 'none' },
    leases: plan.leases,
    routes: plan.routes,
    ports: [],
    macspoofchk: false,
    aliases: [],
  }
  return { world, host, web, verify: given => host.inside(() => verifyLink(attachment, web.netns, given)) }
}

const options = { isDefaultGateway: true, hairpinMode: true, portIsolation: true }
const leases = ['10.1.0.2/24', 'fd01::2/64']

t.test('a link that is as it was made has no faults, in every shape', async t => {
  for (const [what, given, addresses] of [
    ['dual stack', options, leases],
    ['IPv6', { isGateway: true }, ['fd01::2/64']],
    ['layer 2', {}, []],
    ['down', { disableContainerInterface: true }, []],
    ['promiscuous', { promiscMode: true }, ['10.1.0.2/24']],
  ] as const) {
    const { world, verify } = await scene(given, [...addresses])
    t.same(verify(), [], what)
    t.same(verify({ ...plainOptions, ...given }), [], `${what}, with its options`)
    await world.end()
  }
})

t.test('every fault is named', async t => {
  const cases: [place: 'host' | 'web', commands: string, faults: (string | RegExp)[]][] = [
    ['host', 'ip link delete cni0', ['bridge cni0 is gone', / is no port of | is gone/]],
    ['host', 'ip link delete cni0; ip link add cni0 type ifb', ['cni0 is no bridge any more', /no port/]],
    ['host', 'ip link set cni0 address 02:00:00:00:00:07', ['cni0 has MAC 02:00:00:00:00:07 instead of']],
    ['host', 'ip link set cni0 down', [/^cni0 is down/, /lacks address/]],
    [
      'host',
      'ip address flush dev cni0',
      ['cni0 lacks address 10.1.0.1/24', 'cni0 lacks address fd01::1/64'],
    ],
    ['host', 'ip link set VETH nomaster', [/^veth\S+ is no port of cni0/]],
    ['host', 'ip link set VETH down', [/^veth\S+ is down/]],
    ['host', 'ip link set VETH mtu 1400', [/^veth\S+ has MTU 1400 instead of 1500/]],
    ['host', 'ip link set VETH alias other', [/belongs to somebody else/]],
    ['host', 'bridge link set dev VETH hairpin off', [/^hairpin of veth\S+ is false/]],
    ['host', 'bridge link set dev VETH isolated off', [/^isolated of veth\S+ is false/]],
    [
      'host',
      'ip link delete VETH',
      [/^interface veth\S+ is gone/, 'interface eth0 is gone from the container'],
    ],
    ['web', 'ip link set eth0 address 02:00:00:00:00:07', ['eth0 has MAC 02:00:00:00:00:07 instead of']],
    ['web', 'ip link set eth0 mtu 1400', ['eth0 has MTU 1400 instead of 1500']],
    ['web', 'ip address delete 10.1.0.2/24 dev eth0', ['eth0 lacks address 10.1.0.2/24', /route/, /route/]],
    ['web', 'ip address delete fd01::2/64 dev eth0', ['eth0 lacks address fd01::2/64']],
    ['web', 'ip route delete default', ['the container lacks route 0.0.0.0/0 via 10.1.0.1']],
    ['web', 'ip -6 route delete default', ['the container lacks route ::/0 via fd01::1']],
    ['web', 'ip route delete 192.168.7.0/24', ['the container lacks route 192.168.7.0/24 via 10.1.0.1']],
    ['web', 'ip route replace default via 10.1.0.9', ['the container lacks route 0.0.0.0/0 via 10.1.0.1']],
    ['web', 'ip link set eth0 down', ['eth0 is down']],
    [
      'web',
      'ip link set eth0 name old0; ip link add eth0 up type veth',
      [/not the other end/, 'eth0 has MAC'],
    ],
  ]
  for (const [where, commands, faults] of cases) {
    const { world, host, web, verify } = await scene(options, leases)
    const veth = `veth${ownerTag(KEY).slice(0, 8)}`
    await { host, web }[where].run('sh', '-ec', commands.replaceAll('VETH', veth))
    const found = verify({ ...plainOptions, ...options })
    for (const fault of faults) {
      const named = found.some(line =>
        typeof fault === 'string' ? line.startsWith(fault) : fault.test(line),
      )
      t.ok(named, `${commands}: ${fault}`, { found })
    }
    await world.end()
  }
})
