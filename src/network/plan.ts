/**
 * From a request to what has to be done, as plain values.
 */

import { vlanInterface } from '../bridge/bridge.ts'
import { type Cidr, familiesOf, familyOf, type Ip, isLoopback, tryParseIp } from '../model/address/address.ts'
import { isLinkLocal } from '../model/address/host.ts'
import type {
  AttachedNames,
  AttachRequest,
  BridgeOptions,
  Dns,
  Lease,
  NamespaceId,
  NatIntent,
  Network,
  Undertaking,
} from '../model/network.ts'
import type { PortMapping } from '../model/port-mapping.ts'
import { present } from '../model/present.ts'
import { surroundings } from '../model/surroundings.ts'
import type { ReachGuard } from '../nat/nat.ts'
import { hasWayOut } from '../ports/foreign-rules.ts'
import type { Ways } from '../ports/return-path.ts'
import type { PlacedRequest } from './addresses.ts'

/** What is written down before anything is changed: no address is known yet. */
export function undertakingOf(
  request: PlacedRequest,
  netns: { path: string } & NamespaceId,
  bootId: string,
): Undertaking {
  const { network, containerId, ifname, ports, bandwidth, aliases, reach } = request
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
    macspoofchk: network.bridge.macspoofchk || reach !== undefined,
    aliases,
    ...present({ bandwidth, reach, caller: surroundings().caller }),
  }
}

/**
 * What the rules have to achieve; undefined where none are needed: a network without addresses, or one
 * that the host takes no part in.
 * @param beside what the container has on other networks; `proxied`: whoever holds the ports serves what
 *   rules cannot lead to the container; `resolvers`: addresses of the host that tell it names; and `peers`: subnets of
 *   the network's other hosts
 */
export function natIntentOf(
  request: Pick<AttachRequest, 'network' | 'ports'>,
  owner: string,
  addresses: Cidr[],
  {
    proxied = false,
    ways = { addresses: [], answersBy: [] },
    resolvers,
    peers,
    leaves,
  }: {
    proxied?: boolean
    ways?: Ways
    resolvers?: Ip[]
    peers?: Cidr[]
    leaves?: Pick<NatIntent, 'leaveAs' | 'leavesElsewhere'>
  } = {},
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
    ...(resolvers !== undefined && { resolvers }),
    ...(peers !== undefined && { peers }),
    ...leaves,
  }
}

/** False for what only a proxy can serve: loopback, a link's own addresses, a family that the container lacks. */
export const isForRules = ({ hostIp }: PortMapping, addresses: readonly Cidr[]): boolean =>
  hostIp === undefined ||
  (!isLoopback(hostIp) && !isLinkLocal(hostIp) && familiesOf(addresses).includes(familyOf(hostIp)))

/**
 * What the kernel has to know of a container that may not reach everybody; undefined for all others.
 * @param options of the network's bridge; absent in records of earlier versions, which know no such lists
 */
export function reachGuardOf(
  { reach, leases }: Pick<Undertaking, 'reach' | 'leases'>,
  options: BridgeOptions | undefined,
  { owner, mac, hostInterface }: Pick<ReachGuard, 'owner' | 'mac' | 'hostInterface'>,
): ReachGuard | undefined {
  if (reach === undefined || options === undefined) return undefined
  const { name, vlan, uplink } = options
  return {
    owner,
    hostInterface,
    gateways: [name, ...(vlan === undefined ? [] : [vlanInterface(name, vlan)])],
    mac,
    addresses: leases.map(({ address }) => address),
    resolvers: resolversOf(leases),
    isOnWire: uplink !== undefined || !(options.isGateway || options.isDefaultGateway),
    reach,
  }
}

/** Where the container asks. */
export const resolversOf = (leases: readonly Lease[]): Ip[] => [
  ...new Set(leases.flatMap(({ gateway }) => gateway ?? [])),
]

/**
 * The name servers that the configuration, its runtime or the IPAM name are those that we ask.
 * @param dns what the container would be told otherwise
 */
export function attachedNames(network: Network, dns: Dns | undefined): AttachedNames | undefined {
  if (network.names === undefined) return undefined
  const { domain, forward = hasWayOut(network) } = network.names
  return { domain, forward, servers: (dns?.nameservers ?? []).flatMap(server => tryParseIp(server) ?? []) }
}

/** What the container is told. */
export function toldDns(
  dns: Dns | undefined,
  names: AttachedNames | undefined,
  leases: readonly Lease[],
): Dns | undefined {
  if (names === undefined) return dns
  const search = [names.domain, ...(dns?.search ?? []).filter(domain => domain !== names.domain)]
  return present({
    nameservers: resolversOf(leases) as string[],
    search,
    options: dns?.options ?? [],
    domain: dns?.domain,
  })
}
