/**
 * Puts a container on a network.
 *
 *     1  open the namespace, refuse our own            nothing is changed yet
 *     2  validate
 *     3  take down what an earlier, dead attempt left
 *     4  write down what is about to be done
 *     5  claim the host ports
 *     6  take addresses, plan
 *     7  install the rules                             before the link, so that no packet precedes them
 *     8  make the link, guarded against spoofing before it is up
 *     9  shape it
 *     10 write down what there is now
 *
 * From 4 on (build.ts) each step leaves its undo; an error takes back all of them, newest first. A kill leaves the
 * entry of step 4, from which the next attach, detach or collect cleans up.
 */

import { checkBridgeOptions } from '../bridge/bridge.ts'
import { TsnetError } from '../model/errors.ts'
import { type Attachment, type AttachRequest, ownerTag } from '../model/network.ts'
import { present } from '../model/present.ts'
import { surroundings } from '../model/surroundings.ts'
import { withUndo } from '../model/undo.ts'
import { findLink } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { openContainer } from '../netns/container.ts'
import { inside, type Netns } from '../netns/netns.ts'
import { processIdentity } from '../netns/processes.ts'
import { checkEgress } from '../ports/egress.ts'
import { readEntry, whileLocked } from '../records/records.ts'
import { placedHere } from './addresses.ts'
import { buildDropIn } from './bridge-role/bridge-role.ts'
import { build } from './build.ts'
import type { Context } from './context.ts'
import { reachAsked } from './reach/reach.ts'
import { takeDownEntry } from './take-down.ts'

/** @throws TsnetError; the host is then as it was before */
export async function attach(asked: AttachRequest, context: Context = {}): Promise<Attachment> {
  const { reach: _, ...rest } = asked
  const { network, peers } = placedHere(asked.network)
  const request = { ...rest, network, ...present({ peers, reach: reachAsked(asked, context) }) }
  const { containerId, ifname } = request
  checkBridgeOptions(network.bridge, network.ipam.kind !== 'none')
  checkEgress(network)
  using netns = openContainer(request.netns, context.allowOwnNetns)
  const owner = ownerTag({ network: network.name, containerId, ifname })
  // Awaited here: the namespace stays open until all is done.
  return await whileLocked(owner, async () => {
    await clearTheWay(owner, request, netns)
    return withUndo(undo =>
      network.dropIn
        ? buildDropIn(request, netns, context, undo)
        : build(request, owner, { netns }, context, undo),
    )
  })
}

/**
 * Makes room for a new attachment under this key: what a dead attempt or a container that is no more left
 * is taken down; what lives is refused.
 */
async function clearTheWay(
  owner: string,
  request: Pick<AttachRequest, 'ifname' | 'netns'>,
  netns: Netns,
): Promise<void> {
  const entry = readEntry(owner)
  const unfinished = entry !== undefined && (entry.state !== 'attached' || isForUs(entry.attachment))
  if (unfinished) await takeDownEntry(owner, entry.attachment)
  const exists = inside(netns, () => {
    using nl = openNetlink()
    return findLink(nl, { name: request.ifname }) !== undefined
  })
  if (exists) {
    throw new TsnetError(
      'conflict',
      `interface ${request.ifname} exists already in ${request.netns}; remove it first or choose another name`,
    )
  }
  // The interface is not there, so the container that it was recorded for is not this one.
  if (entry !== undefined && !unfinished) await takeDownEntry(owner, entry.attachment)
}

/** A daemon made it for this very call, and died before it could say so. */
function isForUs({ caller }: Attachment): boolean {
  return caller !== undefined && caller === (surroundings().caller ?? processIdentity('self'))
}
