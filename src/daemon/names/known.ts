/** What an attachment says of names, and where they are told. */

import type { Known, NamePlace } from '../../dns/dns.ts'
import type { Away } from '../../hosts/hosts.ts'
import { type Ip, ipOf, networkOf } from '../../model/address/address.ts'
import { isHostName } from '../../model/address/host-name.ts'
import type { NamePattern } from '../../model/address/name-pattern.ts'
import { isOfNames } from '../../model/address/reach.ts'
import { type Attachment, ownerTag } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import type { ReachGuard } from '../../nat/nat.ts'
import { reachGuardOf, resolversOf } from '../../network/plan.ts'

/** What an attachment is called, whether that is told on its network or not. */
export interface Called {
  network: string
  /** Its id. */
  container: string
  /** Lower case. */
  names: string[]
  addresses: Ip[]
}

export interface Told {
  known: Known
  places: NamePlace[]
  /** What it may reach, where that is said by names. */
  reach?: NamedList
}

/** A list with names in it, and what tells where the kernel has it. */
export type NamedList = Pick<ReachGuard, 'owner' | 'isOnWire' | 'reach'>

/** Of an id that is found by its beginning. */
const ID = /^[0-9a-f]{12,}$/

const idIn = (containerId: string): string | undefined => (ID.test(containerId) ? containerId : undefined)

export function calledOf({ network, containerId, aliases, leases }: Attachment): Called {
  const isId = ID.test(containerId)
  const all = [...aliases.toReversed(), ...(isId ? [] : [containerId])]
  return {
    network,
    container: containerId,
    names: [...new Set(all.filter(isHostName).map(name => name.toLowerCase()))],
    addresses: leases.map(({ address }) => ipOf(address)),
  }
}

/** Undefined where its network tells no names. */
export function toldOf(attachment: Attachment): Told | undefined {
  const { names: asked, containerId, leases, netns, bridge, gatewayInterface } = attachment
  if (asked === undefined) return undefined
  const { domain, forward, servers } = asked
  const called = calledOf(attachment)
  const network = called.network.toLowerCase()
  const reach = namedListOf(attachment)
  return {
    known: {
      network,
      names: called.names,
      addresses: called.addresses,
      ...present({ id: idIn(containerId) }),
      container: `${containerId} ${netns.cookie ?? `${netns.dev} ${netns.ino}`}`,
      subnets: [...new Set(leases.map(({ address }) => networkOf(address)))],
      domain,
      ...(forward && { upstream: servers }),
      ...present({ permitted: reach && [...new Set(reach.reach.allow.map(({ to }) => to as NamePattern))] }),
    },
    ...present({ reach }),
    places: resolversOf(leases).map(address => ({
      address,
      network,
      device: (gatewayInterface ?? bridge).name,
    })),
  }
}

/** What the threads know of it is for finding who may be concerned: here it is looked up again. */
function namedListOf(attachment: Attachment): NamedList | undefined {
  const { bridgeOptions, hostInterface, containerInterface } = attachment
  const owner = ownerTag(attachment)
  const guard = reachGuardOf(attachment, bridgeOptions, {
    owner,
    hostInterface: hostInterface.name,
    mac: containerInterface.mac,
  })
  const allow = guard?.reach.allow.filter(isOfNames) ?? []
  return guard && allow.length > 0 ? { owner, isOnWire: guard.isOnWire, reach: { allow } } : undefined
}

/** As names are told of a container of another host. */
export const knownAway = (
  network: string,
  key: string,
  { container, names, addresses, prefixes }: Away,
): Known => ({
  network: network.toLowerCase(),
  container: key,
  names,
  ...present({ id: idIn(container) }),
  addresses,
  subnets: prefixes,
})
