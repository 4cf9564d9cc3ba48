/** Addresses for an attachment: out of which pool, and how a full one finds some. */

import { ensureGround, isSelf } from '../hosts/egress/egress.ts'
import { ownPart } from '../hosts/kept.ts'
import { type Allocation, obtain } from '../ipam/ipam.ts'
import type { Cidr } from '../model/address/address.ts'
import type { Reach } from '../model/address/reach.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import type { AttachRequest, NatIntent, Network, Route, Undertaking } from '../model/network.ts'
import { collect } from './collect.ts'
import type { Context } from './context.ts'

/**
 * Takes addresses. When there are none, those of containers that are no more are freed first, after all
 * that leads to them.
 * @throws TsnetError as `obtain`
 */
export async function obtainAddresses(
  { network, requestedIps }: AttachRequest,
  undertaking: Undertaking,
  context: Context,
): Promise<Allocation> {
  const { netns, ...unplaced } = undertaking
  const owner = netns.ino === 0 ? unplaced : undertaking
  const take = () => obtain(network.ipam, owner, requestedIps)
  try {
    return await take()
  } catch (thrown) {
    if (!hasCode(thrown, 'exhausted')) throw thrown
  }
  // What could not be taken down keeps its addresses, and that is not this container's trouble.
  const trouble = await collect(network, undefined, context).then(
    () => undefined,
    thrown => messageOf(thrown),
  )
  try {
    return await take()
  } catch (thrown) {
    if (trouble === undefined || !hasCode(thrown, 'exhausted')) throw thrown
    const details = `what belongs to containers that are no more could not be taken away: ${trouble}`
    throw new TsnetError('exhausted', messageOf(thrown), { details, cause: thrown })
  }
}

export interface Placed {
  network: Network
  /** The subnets of all hosts; absent: it is a network of this host alone. */
  peers?: Cidr[]
}

/** A request with what this host has for it. */
export interface PlacedRequest extends Omit<AttachRequest, 'reach'>, Pick<Placed, 'peers'> {
  /** Its own, or its network's. */
  reach?: Reach
}

/**
 * Addresses come from the prefix of this host, packets are as long as the carrier takes them, and what is sent to other
 * hosts goes by this one.
 * @throws TsnetError `try-again`: this host has no prefix
 */
export function placedHere(network: Network): Placed {
  const { hosts, ipam, bridge } = network
  if (hosts === undefined || ipam.kind !== 'host-local') return { network }
  const { ranges, mtu } = ownPart(network.name, hosts)
  const peers = hosts.pools.map(({ subnet }) => subnet)
  const ways: Route[] = bridge.isDefaultGateway ? [] : peers.map(dst => ({ dst }))
  return {
    network: {
      ...network,
      ipam: { ...ipam, ranges, routes: [...ipam.routes, ...ways] },
      bridge: { ...bridge, mtu: Math.min(bridge.mtu ?? mtu, mtu) },
    },
    peers,
  }
}

/** Under which addresses a container leaves, where not under that of the way out, and whether another host does that. */
export function leavesAs({ egress }: Network): Pick<NatIntent, 'leaveAs' | 'leavesElsewhere'> {
  if (egress === undefined) return {}
  const { hosts, addresses } = egress
  const [first] = hosts
  const isHere = first === undefined || hosts.some(isSelf)
  return {
    ...(isHere && addresses.length > 0 && { leaveAs: addresses }),
    ...(first !== undefined && !isSelf(first) && { leavesElsewhere: true }),
  }
}

/** What keeps containers of a network from leaving by their own host, if they are not to. @throws what the kernel says */
export function closeOwnWay({ name, hosts, egress, bridge }: Network): void {
  if (hosts !== undefined && egress !== undefined && egress.hosts.length > 0)
    ensureGround(name, hosts, { ...egress, bridge: bridge.name })
}
