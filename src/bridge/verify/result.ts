/**
 * Compares a CNI result of the bridge plugin, ours or the reference's, with what the kernel holds.
 *
 * A result says less than our record, but it is all there is of what the reference made, and others of the
 * chain may have changed it since. The words are the reference's.
 */

import type { Lease, Route } from '../../model/network.ts'
import { findLink, type Link } from '../../netlink/link/link.ts'
import { openNetlink } from '../../netlink/netlink.ts'
import { inside, type Netns } from '../../netns/netns.ts'
import { resolveRoutes } from '../plan/routing.ts'
import { missingAddresses, missingRoutes } from './verify.ts'

/** What a result says. */
export interface Expected {
  bridge: { name: string; mac?: string; promiscuous: boolean }
  container: { name: string; mac?: string }
  /** Interfaces of the host other than the bridge; one of them is the container's other end. */
  hosts: { name: string; mac?: string }[]
  leases: Lease[]
  routes: Route[]
  /** Results from 1.1.0 on tell metric, table and scope of a route. */
  routesInFull: boolean
}

/** @returns everything that is not so, a sentence each; nothing when all is well */
export function verifyResult(expected: Expected, netns: Netns): string[] {
  using hostNl = openNetlink()
  using containerNl = inside(netns, () => openNetlink())
  const { container, leases, routes, routesInFull } = expected
  const bridge = findLink(hostNl, { name: expected.bridge.name })
  const link = findLink(containerNl, { name: container.name })
  const hosts = expected.hosts.map(({ name }) => findLink(hostNl, { name }))
  return [
    ...verifyBridge(expected.bridge, bridge),
    ...verifyPair(expected, bridge, link, hosts),
    ...(link === undefined
      ? []
      : [
          ...missingAddresses(
            containerNl,
            link,
            leases.map(({ address }) => address),
          ),
          ...missingRoutes(containerNl, link, resolveRoutes(routes, leases), routesInFull),
        ]),
  ]
}

function verifyBridge({ name, mac, promiscuous }: Expected['bridge'], bridge: Link | undefined): string[] {
  if (bridge === undefined) return [`Interface name ${name} not found`]
  if (bridge.kind !== 'bridge') return [`Interface ${name} does not have link type of bridge`]
  return [
    ...(isOther(bridge, mac) ? [`Bridge interface ${name} Mac doesn't match: ${mac}`] : []),
    ...(promiscuous && !bridge.promiscuous
      ? [`Bridge interface ${name} configured Promisc Mode true doesn't match current state: false`]
      : []),
  ]
}

function verifyPair(
  { container, hosts: wanted, bridge: { name } }: Expected,
  bridge: Link | undefined,
  link: Link | undefined,
  hosts: (Link | undefined)[],
): string[] {
  if (link === undefined) return [`Interface name ${container.name} not found`]
  if (link.kind !== 'veth') return [`Error: Container interface ${container.name} not of type veth`]
  const problems = isOther(link, container.mac)
    ? [`Interface ${container.name} Mac ${container.mac} doesn't match container Mac: ${link.mac}`]
    : []
  const at = hosts.findIndex(
    host =>
      host?.kind === 'veth' &&
      host.index === link.peerIndex &&
      host.peerIndex === link.index &&
      host.masterIndex === bridge?.index,
  )
  const [host, said] = [hosts[at], wanted[at]]
  if (host === undefined) return [...problems, `CNI veth created for bridge ${name} was not found`]
  return isOther(host, said?.mac)
    ? [...problems, `Interface ${host.name} Mac doesn't match: ${said?.mac} not found`]
    : problems
}

const isOther = (link: Link, mac: string | undefined): boolean =>
  mac !== undefined && mac.toLowerCase() !== link.mac
