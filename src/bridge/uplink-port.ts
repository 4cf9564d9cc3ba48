/**
 * An interface of the host as a port of the bridge, so that containers are on the wire that it is on.
 *
 * It is plugged in with the first container and gets back what it was with the last. What carries addresses or routes of
 * the host is refused: as a port it hands all frames to the bridge, and the host would be cut off from that wire.
 */

import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { listAddresses } from '../netlink/address.ts'
import { RT_TABLE_MAIN } from '../netlink/constants.ts'
import { changeLink, findLink, type Link } from '../netlink/link/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { listRoutes } from '../netlink/route.ts'
import { type BridgeRef, enslave } from './enslave.ts'
import { SCOPE_LINK } from './gateway.ts'
import type { Side } from './side.ts'

/** An interface that was made a port by us. */
export interface PluggedIn {
  name: string
  /** Before. */
  wasUp: boolean
}

/**
 * Why an interface cannot be plugged into a bridge, a sentence; undefined where nothing is known against it.
 * @param bridge absent: it is not there yet
 */
export function uplinkObstacle(nl: Netlink, name: string, bridge?: Pick<Link, 'index'>): string | undefined {
  const link = findLink(nl, { name })
  if (link === undefined) return 'there is no such interface'
  if (link.kind === 'bridge') return 'it is a bridge itself; name that with --interface-name ("bridge")'
  if (link.masterIndex !== undefined) {
    if (link.masterIndex === bridge?.index) return undefined
    const master = findLink(nl, { index: link.masterIndex })
    return `it is a port of ${master?.name ?? 'another interface'} already`
  }
  const held = listAddresses(nl, { link }).find(({ scope }) => scope !== SCOPE_LINK)
  if (held !== undefined)
    return `it has the address ${held.address} of this host, which would not be reached any more; take an interface that the host does not need, or make a bridge that has this address and name it with --interface-name ("bridge")`
  const route = ([4, 6] as const)
    .flatMap(family => listRoutes(nl, { family, table: RT_TABLE_MAIN }))
    .find(
      ({ index, type, destination }) => index === link.index && type === 'unicast' && !isOfLink(destination),
    )
  if (route !== undefined)
    return `the route of this host to ${route.destination} leads over it, which would lead nowhere any more`
  return undefined
}

/** fe80::/64 and the like are there whenever a link is up. */
const isOfLink = (destination: string): boolean => /^(fe80:|ff00:)/.test(destination)

/**
 * Makes sure that an interface is a port of the bridge, and up.
 * @param onLoan hears before what has to be given back
 * @throws TsnetError `conflict` where it cannot be one
 */
export function plugIn(
  { nl, undo }: Side,
  name: string,
  bridge: BridgeRef,
  onLoan: (uplink: PluggedIn) => void,
): void {
  const obstacle = uplinkObstacle(nl, name, bridge)
  const link = findLink(nl, { name })
  if (obstacle !== undefined || link === undefined)
    throw new TsnetError('conflict', `uplink: ${name} is not plugged into ${bridge.name}: ${obstacle}`)
  const isPort = link.masterIndex === bridge.index
  if (isPort && link.up) return
  const uplink = { name, wasUp: link.up }
  if (!isPort) onLoan(uplink)
  try {
    enslave(bridge, () => changeLink(nl, link, { ...(!isPort && { master: bridge.index }), up: true }))
  } catch (cause) {
    if (!hasCode(cause, 'EINVAL', 'EOPNOTSUPP', 'ELOOP', 'EBUSY')) throw cause
    const why = `the kernel does not take it for a port (${messageOf(cause)})`
    throw new TsnetError('conflict', `uplink: ${name} is not plugged into ${bridge.name}: ${why}`, { cause })
  }
  if (!isPort) undo.push(`port ${name}`, () => unplug(nl, uplink, bridge))
}

/** Gives an interface back as it was; one that is no port of the bridge any more is somebody else's by now. */
export function unplug(nl: Netlink, { name, wasUp }: PluggedIn, bridge: Pick<Link, 'index'>): void {
  const link = findLink(nl, { name })
  if (link?.masterIndex !== bridge.index) return
  changeLink(nl, link, { master: null, ...(!wasUp && { up: false }) })
}

/** What is not so of the uplink of a bridge that is there. */
export function uplinkLosses(nl: Netlink, name: string | undefined, bridge: Link): string[] {
  if (name === undefined) return []
  const link = findLink(nl, { name })
  if (link === undefined) return [`uplink ${name} is gone`]
  if (link.masterIndex !== bridge.index) return [`uplink ${name} is no port of ${bridge.name}`]
  return link.up ? [] : [`uplink ${name} is down`]
}
