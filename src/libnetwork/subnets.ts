/** The subnets of a list, as far as Docker has to do with them. */

import { type Cidr, ipOf, lastOf, networkOf, overlaps } from '../model/address/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { AddressRange, Network } from '../model/network.ts'
import { placedHere } from '../network/addresses.ts'
import { findNetworkList, type Host, requestOn } from '../networks/networks.ts'

/** @throws TsnetError `invalid-environment` where there is none; `unsupported-field` where it is not ours alone */
export const networkCalled = (name: string, host: Host): Network =>
  requestOn(findNetworkList(name, host.confDir), {}, host).network

/** On all its hosts. */
export function subnetsOf({ ipam, hosts }: Network): Cidr[] {
  if (hosts !== undefined) return hosts.pools.map(({ subnet }) => subnet)
  return ipam.kind === 'host-local' ? ipam.ranges.flat().map(({ subnet }) => networkOf(subnet)) : []
}

/**
 * Out of which addresses of a subnet are given on this host.
 * @param part of the subnet; absent: all that the list says
 * @throws TsnetError `invalid-environment`
 */
export function rangeOf(name: string, subnet: Cidr, part: Cidr | undefined, host: Host): AddressRange {
  const { network } = placedHere(networkCalled(name, host))
  const ranges = network.ipam.kind === 'host-local' ? network.ipam.ranges.flat() : []
  const range = ranges.find(each => overlaps(each.subnet, subnet))
  if (range === undefined)
    throw new TsnetError('invalid-environment', `network ${name} has no subnet ${subnet} any more`)
  return part === undefined ? range : { ...range, rangeStart: ipOf(part), rangeEnd: lastOf(part) }
}
