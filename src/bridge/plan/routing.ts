/**
 * Gateways and routes of an attachment, computed from its leases as the reference plugin computes them.
 */

import {
  bitsOf,
  type Cidr,
  cidrOf,
  contains,
  type Family,
  familyOf,
  type Ip,
  ipOf,
  isLoopback,
  isMulticast,
  isUnspecified,
  lengthOf,
  networkOf,
  overlaps,
  stepFrom,
} from '../../model/address/address.ts'
import { isLinkLocal } from '../../model/address/host.ts'
import type { Lease, Route } from '../../model/network.ts'
import { RT_TABLE_MAIN } from '../../netlink/constants.ts'
import { reject, whole } from './options.ts'

/** A route as the kernel is given it. */
export interface PlannedRoute extends Route {
  /** The gateway is in none of the container's subnets; take it as reachable all the same. */
  onlink: boolean
}

/** RT_SCOPE_LINK, linux/rtnetlink.h: from here on a destination is on the link itself. */
const SCOPE_LINK = 253

const defaultOf = (family: Family): Cidr => (family === 4 ? '0.0.0.0/0' : '::/0') as Cidr

/** @throws TsnetError `invalid-config` for addresses that no interface can have */
export function checkLeases(leases: Lease[]): void {
  for (const { address, gateway } of leases) {
    requireUnicast('address', ipOf(address))
    if (gateway === undefined) continue
    requireUnicast('gateway', gateway)
    if (familyOf(gateway) !== familyOf(address)) {
      reject(`gateway: ${gateway} and ${address} are of different address families`)
    }
  }
}

function requireUnicast(key: string, ip: Ip): void {
  if (isUnspecified(ip) || isLoopback(ip) || isMulticast(ip) || RESERVED.test(ip)) {
    reject(`${key}: ${ip} is not the address of a single interface`)
  }
}

/** 240.0.0.0/4: RFC 1112, section 4. */
const RESERVED = /^2[45]\d\./

/** The leases, each with a gateway: where the IPAM named none, the first address of the subnet. */
export function withGateways(leases: Lease[]): Lease[] {
  return leases.map(lease => {
    const gateway = lease.gateway ?? firstOf(lease.address)
    if (gateway === ipOf(lease.address)) {
      reject(`gateway: ${gateway} is the address that the container gets`)
    }
    return { ...lease, gateway }
  })
}

function firstOf(address: Cidr): Ip {
  if (lengthOf(address) === bitsOf(familyOf(address))) {
    reject(`isGateway is true, and ${address} leaves no address for the gateway: name one in the ipam`)
  }
  return stepFrom(ipOf(networkOf(address)), 1n)
}

/** The addresses that the bridge gets: each gateway with the length of its subnet. */
export function gatewayAddresses(leases: Lease[]): Cidr[] {
  const gateways: Cidr[] = []
  for (const { address, gateway } of leases) {
    if (gateway === undefined) continue
    const cidr = cidrOf(gateway, lengthOf(address))
    if (gateways.includes(cidr)) continue
    const other = gateways.find(known => overlaps(known, cidr))
    if (other !== undefined) reject(`gateway: ${cidr} and ${other} of the same bridge overlap`)
    gateways.push(cidr)
  }
  return gateways
}

/** The routes, with a default route for each family that has an address and no default gateway yet. */
export function withDefaultRoutes(routes: Route[], leases: Lease[]): Route[] {
  const added: Route[] = []
  for (const family of [4, 6] as const) {
    const gateway = leases.find(({ address }) => familyOf(address) === family)?.gateway
    const known = routes.some(
      ({ dst, gw, table }) =>
        networkOf(dst) === defaultOf(family) &&
        gw !== undefined &&
        (table || RT_TABLE_MAIN) === RT_TABLE_MAIN,
    )
    if (gateway !== undefined && !known) added.push({ dst: defaultOf(family), gw: gateway })
  }
  return [...routes, ...added]
}

/**
 * The routes as the kernel is given them, without host bits: a route without gateway gets that of its family,
 * one of a family in which the container has no address is left out (it could not send anything there), none
 * comes twice.
 */
export function resolveRoutes(routes: Route[], leases: Lease[]): PlannedRoute[] {
  const planned = new Map<string, PlannedRoute>()
  for (const route of routes) {
    const family = familyOf(route.dst)
    for (const key of ['mtu', 'advmss', 'priority', 'table', 'scope'] as const) {
      whole(`routes.${key}`, route[key] ?? 0, 0, key === 'scope' ? 255 : 0xffff_ffff)
    }
    if (route.gw !== undefined && familyOf(route.gw) !== family) {
      reject(`routes: gw ${route.gw} of ${route.dst} is of the other address family`)
    }
    const own = leases.filter(({ address }) => familyOf(address) === family)
    if (own.length === 0) continue
    // A gateway of 0.0.0.0 is none: the destination is on the link itself.
    const unspecified = route.gw !== undefined && isUnspecified(route.gw)
    const direct = unspecified || (route.scope ?? 0) >= SCOPE_LINK
    if (direct && route.gw !== undefined && !unspecified) {
      reject(`routes: ${route.dst} has gw ${route.gw} and scope ${route.scope}, which means that it has none`)
    }
    const { gw: given, ...rest } = route
    const fallback = own.find(({ gateway }) => gateway !== undefined)?.gateway
    const gw = direct ? undefined : (given ?? fallback)
    const onlink = gw !== undefined && !own.some(({ address }) => contains(address, gw)) && !isLinkLocal(gw)
    const resolved = { ...rest, dst: networkOf(route.dst), ...(gw !== undefined && { gw }), onlink }
    planned.set(JSON.stringify([resolved.dst, gw, route.table, route.priority]), resolved)
  }
  return [...planned.values()]
}
