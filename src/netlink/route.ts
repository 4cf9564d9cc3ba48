/**
 * Routes.
 *
 * Source: linux/rtnetlink.h (struct rtmsg, enum RTA_*, RTAX_*, RTN_*).
 */

import {
  bitsOf,
  type Cidr,
  cidrOf,
  type Family,
  familyOf,
  type Ip,
  ipOf,
  lengthOf,
  parseCidr,
} from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import { present } from '../model/present.ts'
import { addressFamily } from './codecs.ts'
import { command } from './command.ts'
import * as k from './constants.ts'
import { type LinkRef, nameOf } from './link/link.ts'
import type { Message } from './message.ts'
import type { Netlink, Request } from './netlink.ts'
import { routeMessage } from './route-tables.ts'

/** RTN_*, by number. */
const routeTypes = [
  'unspec',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat',
  'xresolve',
] as const
export type RouteType = (typeof routeTypes)[number]

/** One way a route can take. */
export interface NextHop {
  gateway?: Ip
  /** Index of the link to leave by. */
  index: number
  /** 1 to 256. */
  weight: number
}

/** A route as the kernel holds it. */
export interface KernelRoute {
  /** `0.0.0.0/0` and `::/0` are the default routes. */
  destination: Cidr
  type: RouteType
  table: number
  /** 0 global, 253 link, 254 host; IPv6 knows global only. */
  scope: number
  /** RTPROT_*: 2 kernel, 3 boot, 4 static … */
  protocol: number
  gateway?: Ip
  /** Index of the link to leave by. */
  index?: number
  /** The metric; lower wins. */
  priority?: number
  preferredSource?: Ip
  mtu?: number
  advmss?: number
  /** The gateway counts as reachable on the link whatever its address. */
  onlink: boolean
  /** Its link has no carrier. */
  linkDown: boolean
  /** Several ways instead of `gateway` and `index`. */
  nextHops?: NextHop[]
}

/** A route to be added. */
export interface NewRoute {
  destination: Cidr
  /** Default: unicast. */
  type?: RouteType
  gateway?: Ip
  link?: LinkRef
  priority?: number
  /** Default: main, 254. */
  table?: number
  /** Default as `ip route` has it: link without a gateway, host for local routes, else global. */
  scope?: number
  preferredSource?: Ip
  mtu?: number
  advmss?: number
  onlink?: boolean
  /** RTPROT_*, by which those who make routes know theirs again. Default: boot, as with `ip`; deleting: any. */
  protocol?: number
}

const anywhere = { [k.AF_INET]: parseCidr('0.0.0.0/0'), [k.AF_INET6]: parseCidr('::/0') }

/** undefined for a route of another family than IPv4 and IPv6. @throws MalformedError */
export function readRoute({ payload }: Pick<Message, 'payload'>): KernelRoute | undefined {
  const { header, attributes: a } = routeMessage.decode(payload)
  if (header.family !== k.AF_INET && header.family !== k.AF_INET6) return undefined
  return present({
    destination:
      a.destination === undefined ? anywhere[header.family] : cidrOf(a.destination, header.destinationLength),
    type: routeTypes[header.type] ?? 'unspec',
    table: a.table ?? header.table,
    scope: header.scope,
    protocol: header.protocol,
    gateway: a.gateway ?? a.via,
    index: a.index,
    priority: a.priority,
    preferredSource: a.preferredSource,
    mtu: a.metrics?.mtu,
    advmss: a.metrics?.advmss,
    onlink: (header.flags & k.RTNH_F_ONLINK) !== 0,
    linkDown: (header.flags & k.RTNH_F_LINKDOWN) !== 0,
    nextHops: a.nextHops?.map(({ header: hop, attributes: b }) =>
      present({ gateway: b.gateway ?? b.via, index: hop.index, weight: hop.hops + 1 }),
    ),
  })
}

/** Where struct rtmsg has rtm_dst_len. */
const DESTINATION_LENGTH_AT = 1

/**
 * Routes of one table or all, over one link or any, default routes or all. A table that does not exist is
 * empty. The kernel cannot be asked for default routes alone: the others are skipped unread, since a host
 * with thousands of them should not pay for it.
 * Equivalent to: ip [-4|-6] route show table TABLE|all [dev NAME]
 */
export function listRoutes(
  nl: Netlink,
  filter: { family?: Family; table?: number; link?: LinkRef; onlyDefault?: boolean } = {},
): KernelRoute[] {
  const { family, table, link, onlyDefault = false } = filter
  let messages: Message[]
  try {
    messages = nl.dump({
      equivalent: () =>
        command(
          `ip${family ? ` -${family}` : ''} route show table`,
          table ?? 'all',
          link && ['dev', nameOf(link)],
        ),
      type: k.RTM_GETROUTE,
      payload: [
        routeMessage.encode({
          header: { family: addressFamily(family) },
          attributes: { table, index: link?.index },
        }),
      ],
    })
  } catch (thrown) {
    if (table !== undefined && hasCode(thrown, 'ENOENT')) return []
    throw thrown
  }
  return messages
    .filter(({ payload }) => !onlyDefault || payload[DESTINATION_LENGTH_AT] === 0)
    .map(readRoute)
    .filter(route => route !== undefined)
    .filter(route => (table ?? route.table) === route.table)
    .filter(
      ({ index, nextHops }) =>
        !link || index === link.index || nextHops?.some(hop => hop.index === link.index),
    )
}

/**
 * The route that the host takes to an address, as it stands in a table. @throws NetlinkError `ENETUNREACH`, or
 * what a route of type unreachable, prohibit or blackhole says
 * Equivalent to: ip route get fibmatch ADDRESS
 */
export function routeTo(nl: Netlink, ip: Ip): KernelRoute | undefined {
  const family = familyOf(ip)
  return readRoute(
    nl.get({
      equivalent: () => command(`ip -${family} route get fibmatch`, ip),
      type: k.RTM_GETROUTE,
      payload: [
        routeMessage.encode({
          header: {
            family: addressFamily(family),
            destinationLength: bitsOf(family),
            flags: k.RTM_F_FIB_MATCH,
          },
          attributes: { destination: ip },
        }),
      ],
    }),
  )
}

/**
 * Adds a route. @throws NetlinkError `EEXIST`, `ENETUNREACH` when the gateway is on no link
 * Equivalent to: ip route add DESTINATION …
 */
export const addRoute = (nl: Netlink, route: NewRoute): void => nl.change(routeRequest('add', route))

/**
 * Adds a route behind those with the same destination and metric.
 * Equivalent to: ip route append DESTINATION …
 */
export const appendRoute = (nl: Netlink, route: NewRoute): void => nl.change(routeRequest('append', route))

/**
 * Adds a route in place of the one with the same destination and metric.
 * Equivalent to: ip route replace DESTINATION …
 */
export const replaceRoute = (nl: Netlink, route: NewRoute): void => nl.change(routeRequest('replace', route))

/**
 * Deletes the first route that has all that is given. @throws NetlinkError `ESRCH`
 * Equivalent to: ip route delete DESTINATION …
 */
export const deleteRoute = (nl: Netlink, route: NewRoute): void => nl.change(routeRequest('delete', route))

function defaultScope({ destination, type = 'unicast', gateway }: NewRoute): number {
  if (familyOf(destination) === 6) return k.RT_SCOPE_UNIVERSE
  if (type === 'local' || type === 'nat') return k.RT_SCOPE_HOST
  if (type === 'broadcast' || type === 'multicast' || type === 'anycast') return k.RT_SCOPE_LINK
  return type === 'unicast' && gateway === undefined ? k.RT_SCOPE_LINK : k.RT_SCOPE_UNIVERSE
}

/** What each verb of `ip` asks for, where something is to be there afterwards. */
const verbFlags = {
  add: k.NLM_F_CREATE | k.NLM_F_EXCL,
  append: k.NLM_F_CREATE | k.NLM_F_APPEND,
  replace: k.NLM_F_CREATE | k.NLM_F_REPLACE,
  delete: 0,
}

/** One of the changes above as a value, for those who ask for many at once. */
export function routeRequest(verb: keyof typeof verbFlags, route: NewRoute): Request {
  const { destination, type, gateway, link, priority, table, scope, preferredSource, mtu, advmss, onlink } =
    route
  const family = familyOf(destination)
  const deleting = verb === 'delete'
  const foreign = gateway !== undefined && familyOf(gateway) !== family
  return {
    equivalent: () =>
      command(
        `ip -${family} route ${verb}`,
        type,
        destination,
        ['via', foreign ? 'inet6' : undefined, gateway],
        !foreign && ['via', gateway],
        link && ['dev', nameOf(link)],
        ['src', preferredSource],
        ['metric', priority],
        ['table', table],
        ['scope', scope],
        ['mtu', mtu],
        ['advmss', advmss],
        onlink && 'onlink',
        ['proto', route.protocol],
      ),
    type: deleting ? k.RTM_DELROUTE : k.RTM_NEWROUTE,
    flags: verbFlags[verb],
    payload: [
      routeMessage.encode({
        header: {
          family: addressFamily(family),
          destinationLength: lengthOf(destination),
          protocol: route.protocol ?? (deleting ? 0 : k.RTPROT_BOOT),
          scope: scope ?? (deleting ? k.RT_SCOPE_NOWHERE : defaultScope(route)),
          type: routeTypes.indexOf(type ?? (deleting ? 'unspec' : 'unicast')),
          flags: onlink ? k.RTNH_F_ONLINK : 0,
        },
        attributes: {
          destination: lengthOf(destination) === 0 ? undefined : ipOf(destination),
          index: link?.index,
          gateway: foreign ? undefined : gateway,
          priority,
          preferredSource,
          metrics: mtu === undefined && advmss === undefined ? undefined : { mtu, advmss },
          table: table ?? k.RT_TABLE_MAIN,
          via: foreign ? gateway : undefined,
        },
      }),
    ],
  }
}
