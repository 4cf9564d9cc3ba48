/**
 * Connections that a container began, and whose permission is gone.
 *
 *     the kernel's memory of connections ─ begun by its addresses, to whom the list has no more
 *         TCP             the container's socket is ended, so its program knows at once
 *         all, forgotten  what the peer still sends finds no way back
 *
 * Its own packets are looked up one by one, and dropped since the list is in force. What the peer sends would be let through
 * as long as the kernel remembers who began.
 *
 * Forgotten is only what was translated, or what a guard keeps out then. Of all else the next packet of the peer would be taken
 * for one that begins: the peer would have come to the container, and be answered.
 *
 * What a bridge hands from port to port has no such memory: TCP with a neighbour is known by the container's sockets
 * (neighbours.ts).
 */

import {
  bytesOf,
  type Cidr,
  contains,
  type Family,
  familiesOf,
  type Ip,
  ipOf,
} from '../../model/address/address.ts'
import { hasCode } from '../../model/errors.ts'
import { protocolNumbers } from '../../model/port-mapping.ts'
import { listElements } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { keyBytes } from '../../netfilter/set-types.ts'
import { NETLINK_SOCK_DIAG } from '../../netlink/constants.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { connectionOf, destroyConnection, type TcpSocket } from '../../netlink/sock-diag.ts'
import { inside, type Netns } from '../../netns/netns.ts'
import { type Begun, nameOfProtocol } from '../begun.ts'
import { bits, forgetTracked, isTracking, listTracked, type Tracked } from '../conntrack.ts'
import { header } from '../kernel-chains.ts'
import { localAddresses, type Tuple } from '../served-ports.ts'
import { neighboursDenied } from './neighbours.ts'
import { type ReachGuard, ROUTED, routedAllow } from './plan.ts'
import { allowedOf, includes, serviceType } from './ranges.ts'

/** A list that is in force. */
export interface InForce {
  guard: ReachGuard
  /** Strangers are kept from the container's own addresses. */
  isGuarded: boolean
  /** Subnets of who is no stranger. */
  peers: readonly Cidr[]
}

type Named = Tracked & { name: Uint8Array }

/**
 * What a list does not have of what the container began.
 * @param container absent: its namespace is not there any more
 * @param options `keepsNames`: as of installReach, of one that is not in force yet
 * @throws NetlinkError
 */
export const listDenied = (
  guard: ReachGuard,
  container: Netns | undefined,
  options: { keepsNames: boolean },
): Begun[] => [
  ...trackedDenied(guard, options).map(begunOf),
  ...neighboursDenied(guard, container).map(({ begun }) => begun),
]

/**
 * Ends it.
 * @param container absent: its namespace is not there any more
 * @returns what was ended
 * @throws NetlinkError
 */
export function endDenied({ guard, isGuarded, peers }: InForce, container: Netns | undefined): Begun[] {
  const denied = trackedDenied(guard)
  const neighbours = neighboursDenied(guard, container)
  if (container !== undefined)
    endSockets([...denied.flatMap(socketOf), ...neighbours.map(({ socket }) => socket)], container)
  const nl = netfilterHere()
  const local = localIn(denied)
  for (const each of denied) {
    const { destination } = each.original
    const isStranger =
      destination !== undefined && !local.has(destination) && !peers.some(peer => contains(peer, destination))
    if ((each.status & bits.translated) !== 0 || (isGuarded && isStranger)) forgetTracked(nl, each)
  }
  return [...denied.map(begunOf), ...neighbours.map(({ begun }) => begun)]
}

const begunOf = ({ original }: Tracked): Begun => {
  const { destination, protocol = 0, destinationPort: port } = original
  return {
    to: destination as Ip,
    protocol: nameOfProtocol(protocol),
    ...(port !== undefined && { port }),
  }
}

const localIn = (all: readonly Tracked[]): Set<Ip> => {
  const families = familiesOf(all.flatMap(({ original }) => original.destination ?? []))
  return new Set(families.flatMap(family => [...localAddresses(family)]))
}

function trackedDenied(guard: ReachGuard, { keepsNames } = { keepsNames: true }): Named[] {
  if (!isTracking()) return []
  const nl = netfilterHere()
  const own = new Set(guard.addresses.map(ipOf))
  return familiesOf([...own]).flatMap(family => {
    const wanted = { header: { family: header(family), version: 1 }, attributes: {} } as const
    const begun = listTracked(nl, wanted).filter(({ original: { source } }) => source && own.has(source))
    if (begun.length === 0) return []
    const admits = admitting(guard, family, keepsNames ? namedIn(guard.owner, family) : () => false)
    return begun.filter(({ original }) => !admits(original))
  })
}

/** Whether a list lets through what has this beginning. */
function admitting(
  guard: ReachGuard,
  family: Family,
  isNamed: (original: Tuple) => boolean,
): (original: Tuple) => boolean {
  const allow = routedAllow(guard)
  const allowed = allowedOf(allow, family)
  const hosts = allow.filter(({ to }) => to === 'host')
  const local = localAddresses(family)
  return original => {
    const { destination: to, protocol, destinationPort: port = 0 } = original
    if (to === undefined || protocol === undefined) return true
    if (includes(allowed, to, protocol, port)) return true
    if (!local.has(to)) return isNamed(original)
    return hosts.some(
      ({ service }) =>
        service === undefined ||
        (protocolNumbers[service.protocol] === protocol && port >= service.first && port <= service.last),
    )
  }
}

/** By names: what was told, and connections that are kept. */
function namedIn(owner: string, family: Family): (original: Tuple) => boolean {
  const nl = netfilterHere()
  const list = (what: string) =>
    listElements(nl, ROUTED, `${what}${family}-${owner}`).map(
      ({ key, keyEnd = key }) => [hex(key), hex(keyEnd)] as const,
    )
  const [named, kept] = ['named', 'kept'].map(what => new Set(list(what).map(([key]) => key)))
  const ports = list('ports')
  return ({ destination: to, protocol, sourcePort, destinationPort: port }) => {
    if (to === undefined) return false
    if (named?.has(hex(bytesOf(to)))) return true
    const transport = protocolNames.get(protocol ?? 0)
    if (transport === undefined || port === undefined) return false
    const key = hex(keyBytes(serviceType(family), `${to} . ${transport} . ${port}`))
    if (ports.some(([first, last]) => first <= key && key <= last)) return true
    return (
      kept?.has(
        hex(
          keyBytes(`${serviceType(family)} . inet_service`, `${to} . ${transport} . ${sourcePort} . ${port}`),
        ),
      ) ?? false
    )
  }
}

const protocolNames = new Map(Object.entries(protocolNumbers).map(([name, number]) => [number, name]))

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** The container's, where it is TCP. */
function socketOf({ original }: Tracked): TcpSocket[] {
  const { protocol, source, sourcePort = 0, destination, destinationPort = 0 } = original
  return protocol !== protocolNumbers.tcp || source === undefined || destination === undefined
    ? []
    : [connectionOf([source, sourcePort], [destination, destinationPort])]
}

/** Where the kernel cannot, programs wait for what does not come. */
function endSockets(sockets: readonly TcpSocket[], container: Netns): void {
  if (sockets.length === 0) return
  inside(container, () => {
    using nl = openNetlink(undefined, NETLINK_SOCK_DIAG)
    try {
      for (const each of sockets) destroyConnection(nl, each)
    } catch (thrown) {
      if (!hasCode(thrown, 'EOPNOTSUPP')) throw thrown
    }
  })
}
