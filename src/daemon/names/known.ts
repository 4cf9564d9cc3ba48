/** What an attachment says of names, and where they are told. */

import type { Known, NamePlace } from '../../dns/dns.ts'
import type { Away } from '../../hosts/hosts.ts'
import { type Ip, ipOf, networkOf } from '../../model/address/address.ts'
import { isHostName } from '../../model/address/host-name.ts'
import type { NamePattern } from '../../model/address/name-pattern.ts'
import { isOfNames, type Permission } from '../../model/address/reach.ts'
import type { Attachment } from '../../model/network.ts'
import { present } from '../../model/present.ts'
import { resolversOf } from '../../network/plan.ts'

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
  /** What it may reach by names, where that is said. */
  named?: NamedPermission[]
}

type NamedPermission = Permission & { to: NamePattern }

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
  const named = attachment.reach?.allow.filter(isOfNames) ?? []
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
      ...(named.length > 0 && { permitted: [...new Set(named.map(({ to }) => to))] }),
    },
    ...(named.length > 0 && { named }),
    places: resolversOf(leases).map(address => ({
      address,
      network,
      device: (gatewayInterface ?? bridge).name,
    })),
  }
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
