/**
 * Compares an attachment's link with what the kernel holds.
 *
 * What should be there is the same plan that connect carries out, computed again from the record. CHECK names what
 * is not so; what of it is on the host's side can be put back (mend.ts). A result of the reference is compared in
 * result.ts.
 */

import { type Cidr, familyOf, type Ip } from '../../model/address/address.ts'
import { type Attachment, type BridgeOptions, type Interface, ownerTag } from '../../model/network.ts'
import { type Address, listAddresses } from '../../netlink/address.ts'
import { RT_TABLE_MAIN } from '../../netlink/constants.ts'
import { findLink, type Link } from '../../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../../netlink/netlink.ts'
import { type KernelRoute, listRoutes } from '../../netlink/route.ts'
import { inside, type Netns } from '../../netns/netns.ts'
import { isHostEnd } from '../names.ts'
import { type LinkPlan, planLink } from '../plan/plan.ts'
import { type PlannedRoute, resolveRoutes } from '../plan/routing.ts'
import { uplinkLosses } from '../uplink-port.ts'

/** Without an MTU, any will do. */
export type ExpectedInterface = Omit<Interface, 'mtu'> & { mtu?: number }

/**
 * @param options of the network as they are now; without them what only they say is not compared: the
 *   bridge's addresses, the port's settings, and whether an interface without addresses is to be up
 * @param inner the container's interface as it should be by now: plugins behind us may have changed it
 * @returns everything that is not as it was made, a sentence each; nothing when all is well
 */
export function verifyLink(
  attachment: Attachment,
  netns: Netns,
  options?: BridgeOptions,
  inner: ExpectedInterface = attachment.containerInterface,
): string[] {
  using hostNl = openNetlink()
  using containerNl = inside(netns, () => openNetlink())
  const plan = options && planAgain(attachment, options)
  const bridge = findLink(hostNl, { name: attachment.bridge.name })
  const port = findLink(hostNl, { name: attachment.hostInterface.name })
  const link = findLink(containerNl, { name: attachment.containerInterface.name })
  return [
    ...verifyBridge(hostNl, attachment, bridge, plan),
    ...verifyPort(attachment, port, bridge, link, plan),
    ...verifyContainer(containerNl, attachment, inner, link, plan),
  ]
}

/** What of an attachment's interface in the container is not as it was made, a sentence each. */
export function verifyInside(attachment: Attachment, netns: Netns): string[] {
  using nl = inside(netns, () => openNetlink())
  const { containerInterface: made } = attachment
  return verifyContainer(nl, attachment, made, findLink(nl, { name: made.name }))
}

/** The plan that the link was made by, computed again. */
export function planAgain(attachment: Attachment, options: BridgeOptions): LinkPlan {
  return planLink({
    options,
    owner: ownerTag(attachment),
    ifname: attachment.ifname,
    mac: attachment.containerInterface.mac,
    leases: attachment.leases,
    routes: attachment.routes,
    hasPorts: attachment.ports.length > 0,
    uplinkMtu: attachment.containerInterface.mtu,
  })
}

function verifyBridge(
  nl: Netlink,
  { bridge: made }: Attachment,
  bridge: Link | undefined,
  plan?: LinkPlan,
): string[] {
  if (bridge === undefined) return [`bridge ${made.name} is gone`]
  if (bridge.kind !== 'bridge') return [`${made.name} is no bridge any more`]
  const problems = compare(bridge, { name: made.name, mac: made.mac }, true)
  if (plan === undefined) return problems
  return [...problems, ...verifyGateways(nl, bridge, plan), ...uplinkLosses(nl, plan.bridge.uplink, bridge)]
}

/** What lacks of a bridge that is there: its promiscuity, and the addresses that it, or what stands for a VLAN, has. */
export function verifyGateways(nl: Netlink, bridge: Link, { bridge: plan }: LinkPlan): string[] {
  const { name, gateways, gatewayVlan, promiscuous } = plan
  const problems = promiscuous && !bridge.promiscuous ? [`bridge ${name} is not promiscuous`] : []
  const holder = gatewayVlan ? findLink(nl, { name: gatewayVlan.name }) : bridge
  if (holder === undefined) return [...problems, `interface ${gatewayVlan?.name} is gone`]
  return gateways.length === 0 ? problems : [...problems, ...missingAddresses(nl, holder, gateways)]
}

function verifyPort(
  attachment: Attachment,
  port: Link | undefined,
  bridge: Link | undefined,
  link: Link | undefined,
  plan?: LinkPlan,
): string[] {
  const made = attachment.hostInterface
  if (port === undefined) return [`interface ${made.name} is gone`]
  if (!isHostEnd(port, ownerTag(attachment))) return [`interface ${made.name} belongs to somebody else`]
  const problems = compare(port, made, true)
  if (bridge !== undefined && port.masterIndex !== bridge.index) {
    problems.push(`${made.name} is no port of ${bridge.name}`)
  } else if (plan !== undefined) {
    problems.push(...verifyPortSettings(port, plan))
  }
  if (link !== undefined && port.peerIndex !== link.index) {
    problems.push(`${link.name} in the container is not the other end of ${made.name}`)
  }
  return problems
}

/** Settings of a port that are others than they were made. Hairpin mode may be on for a publication (ports/hairpin.ts). */
export const verifyPortSettings = ({ name, port }: Link, { host }: LinkPlan): string[] => [
  ...(host.hairpin && port?.hairpin !== true ? [`hairpin of ${name} is ${port?.hairpin}`] : []),
  ...(port?.isolated !== host.isolated ? [`isolated of ${name} is ${port?.isolated}`] : []),
]

function verifyContainer(
  nl: Netlink,
  { leases, routes }: Attachment,
  made: ExpectedInterface,
  link: Link | undefined,
  plan?: LinkPlan,
): string[] {
  if (link === undefined) return [`interface ${made.name} is gone from the container`]
  const addresses = leases.map(({ address }) => address)
  return [
    ...compare(link, made, plan?.container.up ?? addresses.length > 0),
    ...(addresses.length > 0 ? missingAddresses(nl, link, addresses) : []),
    ...missingRoutes(nl, link, resolveRoutes(routes, leases)),
  ]
}

function compare(link: Link, made: ExpectedInterface, up: boolean): string[] {
  const problems: string[] = []
  if (link.mac !== made.mac) problems.push(`${made.name} has MAC ${link.mac} instead of ${made.mac}`)
  if (made.mtu !== undefined && link.mtu !== made.mtu) {
    problems.push(`${made.name} has MTU ${link.mtu} instead of ${made.mtu}`)
  }
  if (up && !link.up) problems.push(`${made.name} is down`)
  return problems
}

/** The addresses that a link lacks, or that it cannot use. */
export function missingAddresses(nl: Netlink, link: Link, wanted: Cidr[]): string[] {
  const held = listAddresses(nl, { link })
  return wanted.flatMap(address => {
    const found = held.find(each => each.address === address)
    return found === undefined ? [`${link.name} lacks address ${address}`] : unusable(found, link)
  })
}

const unusable = ({ address, dadFailed }: Address, { name }: Link): string[] =>
  dadFailed ? [`address ${address} of ${name} is in use by another on the network`] : []

/**
 * The routes that do not lead to a link.
 * @param inFull false: of a route no more is known than destination and gateway
 */
export function missingRoutes(nl: Netlink, link: Link, wanted: PlannedRoute[], inFull = true): string[] {
  if (wanted.length === 0) return []
  const held = listRoutes(nl, { link })
  return wanted
    .filter(route => !held.some(each => (inFull ? isRoute : isRouteSomewhere)(each, route)))
    .map(({ dst, gw }) => `the container lacks route ${dst}${gw === undefined ? '' : ` via ${gw}`}`)
}

/** What IPv6 makes of no metric. */
const IP6_RT_PRIO_USER = 1024

function isRoute(held: KernelRoute, { dst, gw, table, priority }: PlannedRoute): boolean {
  const metric = priority || (familyOf(dst) === 6 ? IP6_RT_PRIO_USER : 0)
  return (
    held.destination === dst &&
    held.table === (table || RT_TABLE_MAIN) &&
    (held.priority ?? 0) === metric &&
    leadsBy(held, gw)
  )
}

const leadsBy = (held: KernelRoute, gw: Ip | undefined): boolean =>
  gw === held.gateway || held.nextHops?.some(({ gateway }) => gateway === gw) === true

/** In any table, with any metric; a scope that the result leaves out may have kept the gateway away. */
const isRouteSomewhere = (held: KernelRoute, { dst, gw }: PlannedRoute): boolean =>
  held.destination === dst && (leadsBy(held, gw) || leadsBy(held, undefined))
