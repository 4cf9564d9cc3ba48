/** That the host's own routes to a container lead over its bridge. */

import { ipOf, networkOf } from '../../model/address/address.ts'
import { messageOf } from '../../model/errors.ts'
import { listAddresses } from '../../netlink/address.ts'
import { findLink } from '../../netlink/link/link.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { routeTo } from '../../netlink/route.ts'
import type { Check, Found } from '../fault.ts'
import { type Attached, called, type Patient } from '../patient.ts'

export const routes: Check<Patient> = {
  name: 'routes',
  about: 'the host reaches the container over its bridge',
  // Without a gateway the host is not on the network.
  look: ({ attached }) =>
    attached
      .filter(
        ({ attachment }) =>
          attachment.bridgeOptions?.isGateway === true || attachment.bridgeOptions?.isDefaultGateway === true,
      )
      .flatMap(lookAt),
}

function lookAt(attached: Attached): Found[] {
  const { leases, bridge, gatewayInterface } = attached.attachment
  const wanted = (gatewayInterface ?? bridge).name
  using nl = openNetlink()
  // Where the bridge has gone or is down, its routes have too.
  const link = findLink(nl, { name: wanted })
  if (link?.up !== true) return []
  const held = listAddresses(nl, { link })
  return leases.flatMap(({ address }): Found[] => {
    const ip = ipOf(address)
    // That it lacks the gateway is told by itself.
    if (!held.some(each => networkOf(each.address) === networkOf(address))) return []
    let what: string
    try {
      const route = routeTo(nl, ip)
      const by = route?.index === undefined ? undefined : findLink(nl, { index: route.index })?.name
      if (by === wanted) return []
      what = `the host's route to ${ip} (${route?.destination}) leads ${by === undefined ? 'nowhere' : `over ${by}`}, not over ${wanted}`
    } catch (thrown) {
      what = `the host has no way to ${ip}: ${messageOf(thrown)}`
    }
    return [
      {
        on: called(attached),
        what,
        why: 'connections to the container go elsewhere, or nowhere',
        cure: `ip route get ${ip}; remove the route, or give the network another subnet`,
      },
    ]
  })
}
