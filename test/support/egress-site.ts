/**
 * A site of three hosts whose network leaves by one of them, under an address that somebody outside knows.
 *
 *     outside 203.0.113.2 ── middle ── sw0 ─┬─ eth0 one
 *                            etcd           ├─ eth0 two
 *                                           └─ eth0 three, .200
 */

import { writeFileSync } from 'node:fs'
import type { Test } from 'tap'
import { type Host, waitFor } from 'tsnet/lab'
import type { NatBackend } from '../../src/model/network.ts'
import { type Container, HostSite, type HostsConfig, type Machine, PORT } from './host-site.ts'

export const OUTSIDE = ['203.0.113.2', 'fd13::2'] as const
export const FIXED = ['192.168.77.200', 'fd77::200'] as const
export const NEAR = ['192.168.77.1', 'fd77::1'] as const

export interface World {
  site: HostSite
  outside: Host
  one: Machine
  two: Machine
  three: Machine
  ids: [one: string, two: string, three: string]
  /** All hosts get a list that says so, and heed it. */
  leave(egress: Record<string, unknown> | undefined, living?: Machine[]): Promise<void>
}

export async function worldOf(
  t: Test,
  backend: NatBackend,
  carrier: string,
  hosts: Record<string, unknown> = {},
): Promise<World> {
  const config: HostsConfig = {
    ipMasq: true,
    capabilities: { portMappings: true },
    hosts: { carrier, ...hosts },
  }
  const site = await HostSite.open(t, backend, ['one', 'two', 'three'], config)
  const { middle, world } = site
  const outside = await world.host('outside')
  world.wire(
    [middle, 'out0', '203.0.113.1/24', 'fd13::1/64'],
    [outside, 'eth0', `${OUTSIDE[0]}/24`, `${OUTSIDE[1]}/64`],
  )
  outside.route('default', '203.0.113.1')
  outside.route('default', 'fd13::1')
  await middle.run('sysctl', '-w', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1')
  for (const place of [outside, middle])
    for (const transport of ['tcp', 'udp'] as const) place.listen(transport, PORT)
  const [one, two, three] = site.machines as [Machine, Machine, Machine]
  for (const { host } of site.machines) for (const gateway of NEAR) host.route('default', gateway)
  await three.host.run('ip', 'address', 'add', `${FIXED[0]}/32`, 'dev', 'eth0')
  await three.host.run(
    'ip',
    'address',
    'add',
    `${FIXED[1]}/128`,
    'dev',
    'eth0',
    'preferred_lft',
    '0',
    'nodad',
  )
  const rows = await site.settled()
  const leave: World['leave'] = async (egress, living = site.machines) => {
    const list = site.list({ ...config, ...(egress && { egress }) })
    for (const { host } of site.machines) writeFileSync(host.path('/etc/cni/net.d/front.conflist'), list)
    const heeds = async ({ host }: Machine) =>
      (await host.run('nft', 'list', 'tables')).stdout.includes('tsnet-out-') === (egress !== undefined)
    await waitFor(async () => (await Promise.all(living.map(heeds))).every(Boolean), {
      what: 'hosts heed their lists',
      withinMs: 60_000,
    })
    await site.settled(living, living.length)
  }
  return { site, outside, one, two, three, ids: rows.map(([self]) => self?.id) as World['ids'], leave }
}

export const seenAs = (from: Container, to: string, transport: 'tcp' | 'udp' = 'tcp'): Promise<string> =>
  from.namespace.ask(transport, to, PORT, { withinMs: 2_000 }).then(
    ({ peer }) => peer,
    () => 'nobody',
  )

export const becomes = (what: string, wanted: string, from: Container, to: string): Promise<unknown> =>
  waitFor(async () => (await seenAs(from, to)) === wanted, { what, withinMs: 60_000 })
