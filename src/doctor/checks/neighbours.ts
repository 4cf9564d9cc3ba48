/** The last steps to a container: which MAC the host takes it for, behind which port, and whether that port forwards. */

import { ipOf } from '../../model/address/address.ts'
import { listFdb } from '../../netlink/link/fdb.ts'
import { findLink } from '../../netlink/link/link.ts'
import { listNeighbours } from '../../netlink/neighbour.ts'
import { type Netlink, openNetlink } from '../../netlink/netlink.ts'
import type { Check, Found } from '../fault.ts'
import { type Attached, called, type Patient } from '../patient.ts'

export const neighbours: Check<Patient> = {
  name: 'neighbours',
  about: 'the host and the bridge look for the container where it is',
  look: ({ attached }) => {
    using nl = openNetlink()
    return attached.flatMap(each => [...strangers(nl, each), ...elsewhere(nl, each)])
  },
}

/** Somebody else, or nobody, has the container's address as the host sees it. */
function strangers(nl: Netlink, attached: Attached): Found[] {
  const { gatewayInterface, bridge, leases, containerInterface } = attached.attachment
  const link = findLink(nl, { name: (gatewayInterface ?? bridge).name })
  if (link === undefined) return []
  const own = new Set<string>(leases.map(({ address }) => ipOf(address)))
  return listNeighbours(nl, { link })
    .filter(({ ip, mac }) => own.has(ip) && mac !== undefined && mac !== containerInterface.mac)
    .map(({ ip, mac, state }) => ({
      on: called(attached),
      what: `the host takes ${ip} for ${mac} (${state}), and the container has ${containerInterface.mac}`,
      why:
        state === 'permanent'
          ? 'what the host sends there reaches nobody'
          : 'another machine on the bridge answers for this address',
      cure:
        state === 'permanent'
          ? `ip neighbour delete ${ip} dev ${link.name}`
          : `find who has ${mac} (bridge fdb show br ${bridge.name}) and give it another address`,
    }))
}

/** The bridge was told that the container's MAC is behind another port. */
function elsewhere(nl: Netlink, attached: Attached): Found[] {
  const { bridge: made, hostInterface, containerInterface } = attached.attachment
  const bridge = findLink(nl, { name: made.name })
  const port = findLink(nl, { name: hostInterface.name })
  if (bridge === undefined || port === undefined) return []
  return listFdb(nl, { bridge })
    .filter(({ mac, index }) => mac === containerInterface.mac && index !== port.index)
    .map(({ index, mac, kind }) => {
      const other = findLink(nl, { index })?.name ?? `if${index}`
      return {
        on: called(attached),
        what: `bridge ${made.name} has ${mac} behind ${other} (${kind}), and not behind ${port.name}`,
        why: 'frames for the container go to another port',
        cure:
          kind === 'static'
            ? `bridge fdb delete ${mac} dev ${other} master`
            : `two containers have this MAC: give one of them another`,
      }
    })
}

/** BR_STATE_FORWARDING, linux/if_bridge.h. */
const FORWARDING = 3
const STATES = ['disabled', 'listening', 'learning', 'forwarding', 'blocking']

export const ports: Check<Patient> = {
  name: 'bridge-ports',
  about: "the containers' ports of bridges forward",
  look: ({ attached }) => {
    using nl = openNetlink()
    return attached.flatMap((each): Found[] => {
      const link = findLink(nl, { name: each.attachment.hostInterface.name })
      const state = link?.port?.state
      if (findLink(nl, { name: each.attachment.bridgeName })?.up !== true) return []
      // One that is down, or whose container's end is, is told elsewhere.
      if (link === undefined || state === undefined || state === FORWARDING || !link.up || !link.lowerUp)
        return []
      return [
        {
          on: called(each),
          what: `${link.name}, its port of bridge ${each.attachment.bridgeName}, is ${STATES[state] ?? state}`,
          why: 'the bridge lets nothing through to the container, nor from it',
          cure: `bridge link set dev ${link.name} state ${FORWARDING} (of a bridge with STP: wait for forward_delay, or turn STP off)`,
          fix: { do: 'forward', link: link.name },
        },
      ]
    })
  },
}
