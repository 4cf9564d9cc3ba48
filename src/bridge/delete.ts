/**
 * Deletes links with one wait for the kernel.
 *
 * The kernel waits for an RCU grace period, some 20 ms, for every request that deletes links, however many
 * the request names. Links can be named together by their group; ours has links in it only for the moment
 * before they are deleted, so whoever finds others in it (of a process that died there, or that is at it)
 * deletes what is to be deleted anyway.
 */

import { hasCode } from '../model/errors.ts'
import { changeLink, deleteLink, deleteLinkGroup, type LinkRef } from '../netlink/link.ts'
import type { Netlink } from '../netlink/netlink.ts'

/** `tsn\0` in ASCII: no number that anybody would give a group by hand. */
const CONDEMNED = 0x74736e00

/** Deletes all of them; one that is gone already counts as deleted. */
export function deleteTogether(nl: Netlink, links: readonly LinkRef[]): void {
  const [first, ...others] = links
  if (first === undefined) return
  if (others.length === 0) {
    unlessGone(() => deleteLink(nl, first))
  } else {
    for (const link of links) unlessGone(() => changeLink(nl, link, { group: CONDEMNED }))
    unlessGone(() => deleteLinkGroup(nl, CONDEMNED))
  }
}

function unlessGone(work: () => void): void {
  try {
    work()
  } catch (thrown) {
    if (!hasCode(thrown, 'ENODEV')) throw thrown
  }
}
