/** Takes the veth pair of an attachment away. */

import { deleteLinks, unlessGone } from '../netlink/link/delete.ts'
import { changeLink, findLink, type Link } from '../netlink/link/link.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import type { BridgeLoan } from './ensure.ts'
import { hostNames, isHostEnd } from './names.ts'
import { release } from './release.ts'

export interface Departure {
  /** ownerTag of the attachment. */
  owner: string
  /**
   * This is the last container on that bridge: the bridge is released as releaseBridge does it, but
   * together with the link, which halves the time. The caller holds the lock on the bridge's name.
   */
  lastOn?: { bridge: string; loan?: BridgeLoan | undefined }
}

/**
 * Deletes the host end of the attachment's veth pair, and with it the container's end. The host end is
 * found by its name and proved by its alias, so neither record nor namespace are needed, and nothing else
 * is ever deleted. Idempotent. It is condemned before this returns: a lock on the bridge's name need not be
 * held until it is gone, unless the bridge goes with it.
 */
export async function disconnect(departure: Departure, trace?: (equivalent: string) => void): Promise<void> {
  const { owner, lastOn } = departure
  using nl = openNetlink(trace)
  const link = findHostEnd(nl, owner)
  if (lastOn !== undefined) await release(nl, lastOn.bridge, lastOn.loan, link)
  else if (link !== undefined) await deleteLinks(nl, [link])
}

/** Takes the host end down: from now on nothing reaches the container, and nothing comes from it. Idempotent. */
export function silence(owner: string, trace?: (equivalent: string) => void): void {
  using nl = openNetlink(trace)
  const link = findHostEnd(nl, owner)
  if (link?.up) unlessGone(() => changeLink(nl, link, { up: false }))
}

/** The host end of an attachment's veth pair. */
export function findHostEnd(nl: Netlink, owner: string): Link | undefined {
  for (const name of hostNames(owner)) {
    const link = findLink(nl, { name })
    if (link !== undefined && isHostEnd(link, owner)) return link
  }
  return undefined
}
