/**
 * Limits for an interface that another plugin made: what the drop-in `bandwidth` does.
 *
 * The ifb has the name that the reference would give it, so that each finds and removes the other's. As that
 * name is a hash, the network stands at the ifb as its alias, and no file is kept: the ifb is its own record.
 * A name is of a network and a container; two interfaces of one container on one network cannot both be
 * limited in what they send.
 */

import { TsnetError } from '../model/errors.ts'
import type { AttachmentKey, Bandwidth, Interface } from '../model/network.ts'
import { sha512 } from '../model/sha512.ts'
import { withUndo } from '../model/undo.ts'
import { findLink, type Link, listLinks } from '../netlink/link/link.ts'
import { netnsNumber } from '../netlink/namespace.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { openContainer } from '../netns/container.ts'
import { inside, type Netns } from '../netns/netns.ts'
import type { Context } from '../network/context.ts'
import { refuseProblems } from '../network/mismatch.ts'
import { whileLocked } from '../records/records.ts'
import { FILTER_AT, isRedirectedTo, shape, unshape, verifyShaping } from '../shaping/shaping.ts'

export interface LimitRequest extends AttachmentKey {
  /** Path of the container's namespace. */
  netns: string
  bandwidth: Bandwidth
  /** What the plugins before made. */
  interfaces: { name: string; sandbox?: string }[]
}

type Name = Pick<AttachmentKey, 'network' | 'containerId'>

/** `bwp` and 12 digits, as the reference makes them. */
export const referenceIfb = ({ network, containerId }: Name): string =>
  `bwp${sha512(`${network}${containerId}`).slice(0, 12)}`

const aliasOf = (network: string): string => `tsnet bandwidth ${network}`

/**
 * @returns the ifb, where what the container sends is limited
 * @throws TsnetError; nothing is then limited
 */
export async function limit(request: LimitRequest, context: Context = {}): Promise<Interface | undefined> {
  using netns = openContainer(request.netns, context.allowOwnNetns)
  const ifb = referenceIfb(request)
  // Awaited here: the namespace stays open until all is done.
  return await whileLocked(ifb, () =>
    withUndo(async undo => {
      const nl = undo.use(openNetlink(context.trace))
      const host = hostInterface(nl, netns, request)
      refuseSecond(nl, ifb, request)
      const target = { hostInterface: host.name, mtu: host.mtu, bandwidth: request.bandwidth, ifb }
      return shape(nl, { ...target, alias: aliasOf(request.network) }, undo)
    }),
  )
}

/** Takes away what is beside the veth pair. Idempotent; needs neither namespace nor interface. */
export async function unlimit(key: Name, { trace }: Context = {}): Promise<void> {
  const ifb = referenceIfb(key)
  await whileLocked(ifb, () => {
    using nl = openNetlink(trace)
    unshape(nl, ifb)
  })
}

/** @throws TsnetError `mismatch` naming all that is not as it was set */
export async function checkLimit(request: LimitRequest, context: Context = {}): Promise<void> {
  const { bandwidth } = request
  using netns = openContainer(request.netns, context.allowOwnNetns)
  using nl = openNetlink()
  const { name, mtu } = hostInterface(nl, netns, request)
  const ifb = referenceIfb(request)
  const problems = verifyShaping(nl, { hostInterface: name, mtu, bandwidth, ifb, orReference: true })
  refuseProblems(problems, request)
}

/**
 * Removes the ifbs of a network's containers that are no more.
 * @param valid attachments that live; absent: only those go that no link redirects to any more
 */
export async function collectLimits(
  network: string,
  valid: { containerId: string }[] | undefined,
): Promise<void> {
  using nl = openNetlink()
  const lives = valid && new Set(valid.map(({ containerId }) => referenceIfb({ network, containerId })))
  const ours = listLinks(nl, { kind: 'ifb' }).filter(
    ({ alias }) => alias?.split(FILTER_AT)[0] === aliasOf(network),
  )
  for (const ifb of ours) {
    if (lives?.has(ifb.name) ?? isRedirectedTo(nl, ifb)) continue
    await whileLocked(ifb.name, () => unshape(nl, ifb.name))
  }
}

/**
 * The host's end of the container's veth pair, which the result before must name.
 * @throws TsnetError `invalid-config`
 */
function hostInterface(nl: Netlink, netns: Netns, { ifname, interfaces }: LimitRequest): Link {
  const inner = inside(netns, () => {
    using there = openNetlink()
    return findLink(there, { name: ifname })
  })
  if (inner === undefined) {
    throw new TsnetError('invalid-config', `interface ${ifname} is not in ${netns.path}`)
  }
  const { kind, index, peerIndex } = inner
  const peer = kind === 'veth' && peerIndex !== undefined ? findLink(nl, { index: peerIndex }) : undefined
  // Indices are used in every namespace anew.
  const isPeer =
    peer?.kind === 'veth' && peer.peerIndex === index && peer.peerNetnsId === netnsNumber(nl, netns.fd)
  if (peer === undefined || !isPeer) {
    throw new TsnetError(
      'invalid-config',
      `container interface ${ifname} has no veth peer in the host's namespace, where it could be limited`,
    )
  }
  if (interfaces.some(({ name, sandbox }) => name === peer.name && !sandbox)) return peer
  throw new TsnetError(
    'invalid-config',
    `prevResult.interfaces does not list ${peer.name}, the host's end of ${ifname}`,
  )
}

/** What an attempt that died left gives way; what serves another interface does not. */
function refuseSecond(nl: Netlink, name: string, { network, containerId, bandwidth }: LimitRequest): void {
  const existing = bandwidth.egressRate > 0 ? findLink(nl, { name }) : undefined
  if (existing === undefined || (existing.kind === 'ifb' && !isRedirectedTo(nl, existing))) return
  throw new TsnetError(
    'conflict',
    `${name}, which would limit what ${containerId} sends to ${network}, serves another interface`,
  )
}
