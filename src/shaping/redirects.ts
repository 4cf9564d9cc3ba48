/**
 * The filter that sends what a link receives to an ifb, at a hook that may be somebody else's.
 *
 * A link has one hook. Where somebody has opened it (a monitor, a policy), ours is one filter more, asked after
 * all of theirs: what we redirect comes back behind the hook, so before them it would carry packets past a
 * policy. What theirs let through or drop for good does not come to ours, and is not limited.
 */

import { hasCode, TsnetError } from '../model/errors.ts'
import type { Undo } from '../model/undo.ts'
import type { LinkRef } from '../netlink/link/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { addRedirect, deleteFilter, type Filter, listIngressFilters } from '../netlink/qdisc/filter.ts'
import { addIngress, deleteQdisc, findHook, type Hook, listQdiscs } from '../netlink/qdisc/qdisc.ts'
import { needs, unlessGone } from './kernel-parts.ts'

/** tcm_info has 16 bits for it. */
const PRIORITY_MAX = 0xffff

/**
 * Opens the hook.
 * @returns that of somebody else; undefined where it is ours
 */
export function openHook(nl: Netlink, link: LinkRef, undo: Undo): Hook | undefined {
  try {
    needs('sch_ingress', () => addIngress(nl, link))
  } catch (thrown) {
    const hook = hasCode(thrown, 'EEXIST') ? findHook(nl, link) : undefined
    if (hook === undefined) throw thrown
    return hook
  }
  undo.push(`ingress hook of ${link.name}`, () => unlessGone(() => deleteQdisc(nl, link, 'ingress')))
  return undefined
}

export function redirect(
  nl: Netlink,
  link: LinkRef,
  ifb: LinkRef,
  theirs: Hook | undefined,
  undo: Undo,
): void {
  if (theirs === undefined) {
    needs('cls_u32 or act_mirred', () => addRedirect(nl, link, ifb))
    return
  }
  const last = Math.max(0, ...listIngressFilters(nl, link).map(({ priority }) => priority))
  if (last === PRIORITY_MAX) {
    throw new TsnetError(
      'conflict',
      `bandwidth: ${link.name} has a filter of the last priority (${last}), behind which there is no place for ours`,
      { details: `tc filter show dev ${link.name} ingress shows it` },
    )
  }
  const at = { hook: theirs, priority: last + 1 }
  needs('cls_u32 or act_mirred', () => addRedirect(nl, link, ifb, at))
  undo.push(`redirect to ${ifb.name}`, () => endRedirect(nl, link, ifb))
}

/** Takes the filters away that lead to an ifb, and no other. Nothing happens where there are none. */
export function endRedirect(nl: Netlink, link: LinkRef, ifb: LinkRef): void {
  const hook = findHook(nl, link)
  if (hook === undefined) return
  const filters = listIngressFilters(nl, link)
  for (const filter of filters.filter(({ redirectIndex }) => redirectIndex === ifb.index)) {
    const { priority } = filter
    // With the last filter of a priority goes the table that u32 keeps them in, but not by itself.
    const alone = filters.filter(each => each.priority === priority && isNode(each)).length === 1
    unlessGone(() => deleteFilter(nl, link, hook, alone ? { priority } : filter))
  }
}

/** False for one that stands for u32's table: a node has a number in it. */
const isNode = ({ kind, handle }: Filter): boolean => kind !== 'u32' || (handle & 0xfff) !== 0

/** True when some link of the namespace redirects what it receives to this one: whose veth pair is there yet. */
export const isRedirectedTo = (nl: Netlink, ifb: LinkRef): boolean =>
  listQdiscs(nl)
    .filter(({ kind }) => kind === 'ingress' || kind === 'clsact')
    .some(({ index }) => listIngressFilters(nl, { index }).some(each => each.redirectIndex === ifb.index))
