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
 * Limits: what a bridge hands from port to port has no memory, so TCP with a neighbour goes on.
 */

import {
  bytesOf,
  type Cidr,
  contains,
  type Family,
  familiesOf,
  familyOf,
  type Ip,
  ipOf,
  numberOf,
} from '../../model/address/address.ts'
import { hasCode } from '../../model/errors.ts'
import { protocolNumbers } from '../../model/port-mapping.ts'
import { listElements } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { keyBytes } from '../../netfilter/set-types.ts'
import { NETLINK_SOCK_DIAG } from '../../netlink/constants.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { connectionOf, destroyConnection } from '../../netlink/sock-diag.ts'
import { inside, type Netns } from '../../netns/netns.ts'
import { type Begun, nameOfProtocol } from '../begun.ts'
import { bits, forgetTracked, isTracking, listTracked, type Tracked } from '../conntrack.ts'
import { header } from '../kernel-chains.ts'
import { localAddresses, type Tuple } from '../served-ports.ts'
import { type ReachGuard, ROUTED, routedAllow } from './plan.ts'
import { type Allowed, allowedOf, serviceType } from './ranges.ts'

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
 * @param options `keepsNames`: as of installReach, of one that is not in force yet
 * @throws NetlinkError
 */
export const listDenied = (guard: ReachGuard, options: { keepsNames: boolean }): Begun[] =>
  trackedDenied(guard, options).map(begunOf)

/**
 * Ends it.
 * @param container absent: its namespace is not there any more
 * @returns what was ended
 * @throws NetlinkError
 */
export function endDenied({ guard, isGuarded, peers }: InForce, container: Netns | undefined): Begun[] {
  const denied = trackedDenied(guard)
  if (denied.length === 0) return []
  if (container !== undefined) endSockets(denied, container)
  const nl = netfilterHere()
  const local = localIn(denied)
  for (const each of denied) {
    const { destination } = each.original
    const isStranger =
      destination !== undefined &&
      !local.has(destination) &&
      !peers.some(peer => familyOf(peer) === familyOf(destination) && contains(peer, destination))
    if ((each.status & TRANSLATED) !== 0 || (isGuarded && isStranger)) forgetTracked(nl, each)
  }
  return denied.map(begunOf)
}

const TRANSLATED = bits.sourceChanged | bits.destinationChanged

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
    if (isIn(allowed, to, protocol, port)) return true
    if (!local.has(to)) return isNamed(original)
    return hosts.some(
      ({ service }) =>
        service === undefined ||
        (protocolNumbers[service.protocol] === protocol && port >= service.first && port <= service.last),
    )
  }
}

function isIn({ whole, services }: Allowed, to: Ip, protocol: number, port: number): boolean {
  const number = numberOf(to)
  const has = ({ first, last }: Allowed['whole'][number]) => first <= number && number <= last
  return (
    whole.some(has) ||
    services.some(
      each =>
        protocolNumbers[each.protocol] === protocol &&
        each.first <= port &&
        port <= each.last &&
        each.to.some(has),
    )
  )
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

/** Where the kernel cannot, programs wait for what does not come. */
function endSockets(denied: readonly Tracked[], container: Netns): void {
  const tcp = denied.filter(({ original }) => original.protocol === protocolNumbers.tcp)
  if (tcp.length === 0) return
  inside(container, () => {
    using nl = openNetlink(undefined, NETLINK_SOCK_DIAG)
    for (const { original } of tcp) {
      const { source, sourcePort = 0, destination, destinationPort = 0 } = original
      if (source === undefined || destination === undefined) continue
      try {
        destroyConnection(nl, connectionOf([source, sourcePort], [destination, destinationPort]))
      } catch (thrown) {
        if (hasCode(thrown, 'EOPNOTSUPP')) return
        throw thrown
      }
    }
  })
}
