/** What an attachment says of names, and where they are told. */

import type { Known, NamePlace } from '../../dns/dns.ts'
import { ipOf, networkOf } from '../../model/address/address.ts'
import { isHostName } from '../../model/address/host-name.ts'
import type { Attachment } from '../../model/network.ts'
import { resolversOf } from '../../network/plan.ts'

export interface Told {
  known: Known
  places: NamePlace[]
}

/** Of an id that is found by its beginning. */
const ID = /^[0-9a-f]{12,}$/

/** Undefined where its network tells no names. */
export function toldOf(attachment: Attachment): Told | undefined {
  const { names, network, containerId, aliases, leases, netns, bridge, gatewayInterface } = attachment
  if (names === undefined) return undefined
  const { domain, forward, servers } = names
  const isId = ID.test(containerId)
  const all = [...aliases.toReversed(), ...(isId ? [] : [containerId])]
  return {
    known: {
      network: network.toLowerCase(),
      container: `${containerId} ${netns.cookie ?? `${netns.dev} ${netns.ino}`}`,
      names: [...new Set(all.filter(isHostName).map(name => name.toLowerCase()))],
      ...(isId && { id: containerId }),
      addresses: leases.map(({ address }) => ipOf(address)),
      subnets: [...new Set(leases.map(({ address }) => networkOf(address)))],
      domain,
      ...(forward && { upstream: servers }),
    },
    places: resolversOf(leases).map(address => ({
      address,
      network: network.toLowerCase(),
      device: (gatewayInterface ?? bridge).name,
    })),
  }
}
