/**
 * Deletes links, as many as there are to delete with one wait for the kernel.
 *
 * The kernel waits for an RCU grace period, some 20 ms, for every request that deletes links, however many
 * the request names. Links can be named together by their group:
 *
 *     condemned    condemned   condemned   condemned      each gets the group at once
 *         │            └───────────┴───────────┤
 *     deletion 1 ────── the kernel waits ──▶ deletion 2   takes all that came meanwhile
 *
 * It is sent by another thread, so that this one goes on.
 *
 * The group has links in it only for the moments before they are deleted. So whoever finds others in it (of
 * another process, or of one that died there) deletes what is to be deleted anyway.
 */

import { hasCode } from '../../model/errors.ts'
import type { Netlink } from '../netlink.ts'
import { changeLink, deleteLink, deleteLinkGroupAside, type Link, type LinkRef } from './link.ts'

/** `tsn\0` in ASCII: no number that anybody would give a group by hand. */
const CONDEMNED = 0x74736e00

/** True for a link that is about to go. */
export const isCondemned = ({ group }: Pick<Link, 'group'>): boolean => group === CONDEMNED

/** Has links go with the next that are deleted; one that is gone already does not matter. */
export function condemnLinks(nl: Netlink, links: readonly LinkRef[]): void {
  for (const link of links) unlessGone(() => changeLink(nl, link, { group: CONDEMNED }))
}

/**
 * Deletes links; one that is gone already counts as deleted. They
 * are condemned before this returns, so nobody takes them for links that stay.
 * @throws NetlinkError
 */
export async function deleteLinks(nl: Netlink, links: readonly LinkRef[]): Promise<void> {
  if (links.length === 0) return
  condemnLinks(nl, links)
  try {
    await nextDeletion(nl)
  } catch {
    // Something in the group cannot be deleted; ours can, or the reason is told.
    for (const link of links) unlessGone(() => deleteLink(nl, link))
  }
}

/** Deletions in one network namespace: the one that is under way, and the one that begins after it. */
interface Deletions {
  running: Promise<void>
  next?: Promise<void> | undefined
}

const deletions = new Map<number, Deletions>()

/** @param nl stays open until the deletion is done, as its owner waits for it */
function nextDeletion(nl: Netlink): Promise<void> {
  const here = nl.namespace
  const state = deletions.get(here)
  if (state === undefined) return begin(nl, here)
  state.next ??= state.running.catch(() => {}).then(() => begin(nl, here))
  return state.next
}

function begin(nl: Netlink, here: number): Promise<void> {
  const state: Deletions = { running: deleteGroup(nl) }
  const ended = () => {
    // Whoever is next begins for itself.
    if (deletions.get(here) === state && state.next === undefined) deletions.delete(here)
  }
  deletions.set(here, state)
  state.running.then(ended, ended)
  return state.running
}

async function deleteGroup(nl: Netlink): Promise<void> {
  try {
    await deleteLinkGroupAside(nl, CONDEMNED)
  } catch (thrown) {
    // Somebody else's deletion took them along.
    if (!hasCode(thrown, 'ENODEV')) throw thrown
  }
}

/** Does something to a link that may go at any moment, with its peer or the namespace of that. */
export function unlessGone(work: () => void): void {
  try {
    work()
  } catch (thrown) {
    if (!hasCode(thrown, 'ENODEV')) throw thrown
  }
}
