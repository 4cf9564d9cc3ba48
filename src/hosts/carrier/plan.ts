/**
 * What the kernel has to hold so that packets find the other hosts, as plain values.
 *
 *     vxlan     10.200.9.0/24 via 10.200.9.0 dev tsx1f… onlink     a route
 *               10.200.9.0 lladdr 06:… permanent                   a neighbour
 *               06:… dst 192.168.1.9 self                          an entry of the device
 *     routes    10.200.9.0/24 via 192.168.1.9                      a route
 *
 * So much for each host and prefix, and nothing for a container. What is in the network and has no host is unreachable,
 * rather than somewhere on the way out of this one.
 */

import { type Cidr, cidrOf, familyOf, type Ip } from '../../model/address/address.ts'
import { ownAddress, prefixesOf } from '../../model/hosts/hosts.ts'
import { sha256 } from '../../model/sha256.ts'
import { fdbRequest } from '../../netlink/link/fdb.ts'
import type { LinkRef } from '../../netlink/link/link.ts'
import { neighbourRequest } from '../../netlink/neighbour.ts'
import type { Request } from '../../netlink/netlink.ts'
import { type NewRoute, routeRequest } from '../../netlink/route.ts'
import type { Layout } from '../keys.ts'
import type { Member } from '../members.ts'

/** Our routes are known by it (rtnetlink's RTPROT_*; those below 128 that daemons use are in /etc/iproute2/rt_protos). */
export const PROTOCOL = 116
/** Anything else goes before what is unreachable. */
export const LAST_METRIC = 4_000_000_000

export interface Thing {
  /** `10.200.9.0/24`, by kind. */
  key: string
  /** What it is to be; another one is replaced. */
  value: string
  put(): Request
  remove(): Request
}

/** What is known of what there is. */
export type Held = Pick<Thing, 'value' | 'remove'>

/** This host's place in the network. */
export interface Place {
  network: string
  layout: Layout
  number: number
  mac: string
}

/** Names are short; who has one like it in the same namespace has another alias. */
export const deviceName = (network: string): string => `tsx${sha256(network).slice(0, 8)}`
export const deviceAlias = (network: string): string => `tsnet hosts ${network}`

/** 24 bits; 0 is nobody's. */
export const networkIdentifier = (network: string): number =>
  Number.parseInt(sha256(network).slice(8, 14), 16) || 1

/** Always the same of one host in one network, so that others need not hear of a device that is made anew. */
export const linkAddress = (id: string, network: string): string =>
  `06:${(sha256(`${id}\0${network}`).slice(0, 10).match(/../g) ?? []).join(':')}`

export const routeKey = (destination: Cidr): string => `route ${destination}`
export const neighbourKey = (ip: Ip): string => `neighbour ${ip}`
export const entryKey = (mac: string): string => `entry ${mac}`

function routeThing(route: NewRoute): Thing {
  const { destination, gateway, link, preferredSource, type = '', onlink = false } = route
  return {
    key: routeKey(destination),
    value: routeValue({ type, gateway, index: link?.index, preferredSource, onlink }),
    put: () => routeRequest('replace', route),
    remove: () =>
      routeRequest('delete', {
        destination,
        protocol: PROTOCOL,
        ...(route.priority && { priority: route.priority }),
      }),
  }
}

/** How routes are compared. */
export const routeValue = (route: {
  type?: string | undefined
  gateway?: Ip | undefined
  index?: number | undefined
  preferredSource?: Ip | undefined
  onlink?: boolean
}): string =>
  route.type === 'unreachable'
    ? 'unreachable'
    : [route.gateway, route.index, route.preferredSource, route.onlink === true].join(' ')

/** What stands for the network itself: before the first of its prefixes is known. */
export const groundOf = ({ layout }: Place): Thing[] =>
  layout.pools.map(({ subnet }) =>
    routeThing({ destination: subnet, type: 'unreachable', priority: LAST_METRIC, protocol: PROTOCOL }),
  )

/** To whom a packet for another host is handed; undefined: there is no way for this family. @param prefix of that host */
export function gatewayOf(
  { carrier }: Pick<Layout, 'carrier'>,
  { addresses }: Member,
  prefix: Cidr,
): Ip | undefined {
  if (carrier === 'vxlan') return ownAddress(prefix)
  const family = familyOf(prefix)
  return addresses.find(address => familyOf(address) === family) ?? (family === 4 ? addresses[0] : undefined)
}

/** What leads to one host. @param link of the carrier; absent: hosts are reached as neighbours or by others' routes */
export function thingsOf(place: Place, member: Member, link: LinkRef | undefined): Thing[] {
  const { layout, number } = place
  const own = prefixesOf(layout.pools, number)
  const prefixes = prefixesOf(layout.pools, member.number)
  if (layout.carrier === 'routes') {
    return prefixes.flatMap((destination, i) => {
      const gateway = gatewayOf(layout, member, destination)
      return gateway === undefined
        ? []
        : [
            routeThing({
              destination,
              gateway,
              preferredSource: ownAddress(own[i] as Cidr),
              protocol: PROTOCOL,
            }),
          ]
    })
  }
  const [remote] = member.addresses
  if (link === undefined || remote === undefined) return []
  const { mac } = member
  return [
    {
      key: entryKey(mac),
      value: remote,
      put: () => fdbRequest('replace', link, { mac, remote, self: true }),
      remove: () => fdbRequest('delete', link, { mac, remote, self: true }),
    },
    ...prefixes.flatMap((destination, i): Thing[] => {
      const gateway = ownAddress(destination)
      return [
        {
          key: neighbourKey(gateway),
          value: mac,
          put: () => neighbourRequest('replace', link, { ip: gateway, mac }),
          remove: () => neighbourRequest('delete', link, { ip: gateway }),
        },
        routeThing({
          destination,
          gateway,
          link,
          onlink: true,
          preferredSource: ownAddress(own[i] as Cidr),
          protocol: PROTOCOL,
        }),
      ]
    }),
  ]
}

/** Addresses of the host itself, each alone. */
export const ownAddresses = ({ layout, number }: Place): Cidr[] =>
  prefixesOf(layout.pools, number).map(prefix => {
    const ip = ownAddress(prefix)
    return cidrOf(ip, familyOf(ip) === 4 ? 32 : 128)
  })

/** What has to be asked for so that what is there becomes what is wanted: what goes away first. */
export function difference(
  there: ReadonlyMap<string, Held>,
  wanted: ReadonlyMap<string, Thing>,
): { key: string; thing: Held; request: Request; isRemoval: boolean }[] {
  const gone = [...there].filter(([key]) => !wanted.has(key))
  const changed = [...wanted].filter(([key, { value }]) => there.get(key)?.value !== value)
  return [
    ...gone.map(([key, thing]) => ({ key, thing, request: thing.remove(), isRemoval: true })),
    ...changed.map(([key, thing]) => ({ key, thing, request: thing.put(), isRemoval: false })),
  ]
}
