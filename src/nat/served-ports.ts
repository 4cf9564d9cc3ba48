/** Where published ports are met: at which addresses of this host. */

import { networkInterfaces } from 'node:os'
import { type Family, familyOf, type Ip, isUnspecified, parseIp } from '../model/address/address.ts'
import { ipOfHost } from '../model/address/host.ts'
import { type PortMapping, type Protocol, protocolNumbers } from '../model/port-mapping.ts'

/** One direction of a connection. */
export interface Tuple {
  source?: Ip | undefined
  destination?: Ip | undefined
  protocol?: number | undefined
  sourcePort?: number | undefined
  destinationPort?: number | undefined
}

/** Where a published port can be met. */
export interface Served {
  protocol: Protocol
  hostPort: number
  count: number
  addresses: Set<Ip>
}

/** @param local the addresses of this host */
export const servedPorts = (family: Family, mappings: readonly PortMapping[], local: Set<Ip>): Served[] =>
  mappings
    .filter(({ hostIp }) => hostIp === undefined || familyOf(hostIp) === family)
    .map(({ hostIp, protocol, hostPort, count }) => ({
      protocol,
      hostPort,
      count,
      addresses: hostIp === undefined || isUnspecified(hostIp) ? local : new Set([ipOfHost(hostIp)]),
    }))

/** True for what is sent to a published port of this host. */
export const isServed = (
  served: readonly Served[],
  { destination, destinationPort = 0, protocol }: Tuple,
): boolean =>
  destination !== undefined &&
  served.some(
    each =>
      protocol === protocolNumbers[each.protocol] &&
      each.addresses.has(destination) &&
      destinationPort >= each.hostPort &&
      destinationPort < each.hostPort + each.count,
  )

/** The addresses of this host in one family. */
export const localAddresses = (family: Family): Set<Ip> =>
  new Set(
    Object.values(networkInterfaces())
      .flatMap(list => list ?? [])
      .map(({ address }) => parseIp(address.split('%')[0] ?? ''))
      .filter(address => familyOf(address) === family),
  )
