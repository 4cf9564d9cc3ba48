/**
 * From a request to what has to be done, as plain values.
 */

import { type Cidr, type Family, familyOf, type Ip, isLoopback } from '../model/address.ts'
import { isLinkLocal } from '../model/host-address.ts'
import type { AttachRequest, NamespaceId, NatIntent, Undertaking } from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { surroundings } from '../model/surroundings.ts'

/** What is written down before anything is changed: no address is known yet. */
export function undertakingOf(
  request: AttachRequest,
  netns: { path: string } & NamespaceId,
  bootId: string,
): Undertaking {
  const { network, containerId, ifname, ports, bandwidth, aliases } = request
  return {
    network: network.name,
    containerId,
    ifname,
    netns,
    bootId,
    createdAt: new Date().toISOString(),
    bridgeName: network.bridge.name,
    ipam: network.ipam,
    leases: [],
    ports,
    macspoofchk: network.bridge.macspoofchk,
    aliases,
    ...present({ bandwidth, caller: surroundings().caller }),
  }
}

/** What a container has on networks, as the host sees it. */
export interface Ways {
  addresses: Ip[]
  /** The host's interfaces at which arrives what it sends by its default routes. */
  answersBy: string[]
}

/**
 * What the rules have to achieve; undefined where none are needed: a network without addresses, or one
 * that the host takes no part in.
 * @param beside what the container has on other networks; and `proxied`: whoever holds the ports serves what
 *   rules cannot lead to the container
 */
export function natIntentOf(
  request: AttachRequest,
  owner: string,
  addresses: Cidr[],
  { proxied = false, ways = { addresses: [], answersBy: [] } }: { proxied?: boolean; ways?: Ways } = {},
): NatIntent | undefined {
  const { network } = request
  const ports = proxied ? request.ports.filter(each => isForRules(each, addresses)) : request.ports
  const { bridge, ipMasq } = network
  const routed = bridge.isGateway || bridge.isDefaultGateway
  if (addresses.length === 0 || !(routed || ipMasq || ports.length > 0)) return undefined
  const answersBy = ways.answersBy.filter(name => name !== bridge.name)
  const isServer = ports.length > 0
  return {
    owner,
    bridge: bridge.name,
    addresses,
    ipMasq,
    guardDirect: !network.allowDirectRouting,
    ports,
    ...(isServer && ways.addresses.length > 0 && { otherAddresses: ways.addresses }),
    ...(isServer && answersBy.length > 0 && { answersBy }),
    ...(proxied && bridge.portIsolation && { bridgeServed: true }),
  }
}

/** The families of a list of addresses, each once. */
export const familiesOf = (addresses: readonly Cidr[]): Family[] =>
  [...new Set(addresses.map(familyOf))].sort()

const isForRules = ({ hostIp }: PortMapping, addresses: readonly Cidr[]): boolean =>
  hostIp === undefined ||
  (!isLoopback(hostIp) && !isLinkLocal(hostIp) && familiesOf(addresses).includes(familyOf(hostIp)))
