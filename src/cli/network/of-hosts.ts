/** What `tsnet network inspect` says of a network of many hosts. */

import { readHostsOf } from '../../cni/config/hosts.ts'
import { connectControl } from '../../control/client.ts'
import { networkIdentifier } from '../../hosts/carrier/plan.ts'
import type { HostRow } from '../../hosts/hosts.ts'
import type { HostsNetwork } from '../../model/hosts/hosts.ts'
import type { NetworkDetails } from '../../networks/networks.ts'

export interface OfHosts {
  engine: 'etcd'
  endpoints: string[]
  carrier: string
  /** Of VXLAN. */
  identifier?: number
  /** By whom it leaves, where not by each container's own host. */
  egress?: { hosts: string[]; addresses: string[]; otherwise: string }
  /** Those of this host. Without a daemon this and what follows are absent. */
  prefixes?: string[]
  /** How many hosts are in each state. */
  states?: Record<string, number>
  members?: HostRow[]
}

/** undefined: it is a network of this host alone. */
export async function ofHosts({ name, configuration }: NetworkDetails): Promise<OfHosts | undefined> {
  const options = configuration.map(readable).find(each => each !== undefined)
  if (options === undefined) return undefined
  const { carrier, etcd, leaving } = options
  const { hosts = [], addresses = [], otherwise = 'none' } = leaving ?? {}
  const members = await membersOf(name)
  return {
    engine: 'etcd',
    endpoints: etcd.endpoints,
    carrier,
    ...(carrier === 'vxlan' && { identifier: networkIdentifier(name) }),
    ...(leaving !== undefined && { egress: { hosts, addresses, otherwise } }),
    ...(members !== undefined && {
      prefixes: members.find(({ state }) => state === 'self')?.prefixes ?? [],
      states: counted(members),
      members,
    }),
  }
}

/** What a plugin would refuse is told by `tsnet check`. */
function readable(plugin: object): HostsNetwork | undefined {
  try {
    return (plugin as { type?: unknown }).type === 'tsnet' ? readHostsOf(plugin) : undefined
  } catch {
    return undefined
  }
}

function counted(members: readonly HostRow[]): Record<string, number> {
  const states: Record<string, number> = {}
  for (const { state } of members) states[state] = (states[state] ?? 0) + 1
  return states
}

async function membersOf(network: string): Promise<HostRow[] | undefined> {
  using client = await connectControl()
  if (client === undefined) return undefined
  client.mustAnswer()
  const { hosts } = (await client.ask('hosts')) as { hosts: HostRow[] }
  return hosts.filter(each => each.network === network)
}
