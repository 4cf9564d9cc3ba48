/**
 * Limits that others took away, put back without the link going down.
 *
 * A direction that is as it was made stays. What is left of one that is not makes room first: a bucket with other limits;
 * the ifb, and what led to it. A filter whose ifb is gone drops all that the container sends.
 */

import type { Bandwidth } from '../model/network.ts'
import type { Undo } from '../model/undo.ts'
import { findLink, getLink, type LinkRef } from '../netlink/link/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { listIngressFilters } from '../netlink/qdisc/filter.ts'
import { deleteQdisc, findHook } from '../netlink/qdisc/qdisc.ts'
import { unlessGone } from './kernel-parts.ts'
import { endRedirect } from './redirects.ts'
import { type ShapingTarget, shape, unshape } from './shaping.ts'
import { rootQdisc, verifyShaping } from './verify.ts'

/**
 * @param undo takes back what was made
 * @throws as `shape`: `conflict` where somebody else has put something in our place
 */
export function mendShaping(nl: Netlink, target: ShapingTarget, undo: Undo): void {
  const isLost = (bandwidth: Bandwidth) => verifyShaping(nl, { ...target, bandwidth }).length > 0
  const [towards, from] = [towardsAlone(target.bandwidth), fromAlone(target.bandwidth)]
  const host = getLink(nl, { name: target.hostInterface })
  if (isLost(towards)) {
    if (rootQdisc(nl, host)?.tbf !== undefined) unlessGone(() => deleteQdisc(nl, host, 'root'))
    shape(nl, { ...target, bandwidth: towards }, undo)
  }
  if (isLost(from)) {
    clearHook(nl, host, target.ifb)
    unshape(nl, target.ifb)
    shape(nl, { ...target, bandwidth: from }, undo)
  }
}

const towardsAlone = (all: Bandwidth): Bandwidth => ({ ...all, egressRate: 0, egressBurst: 0 })
const fromAlone = (all: Bandwidth): Bandwidth => ({ ...all, ingressRate: 0, ingressBurst: 0 })

/** What the kernel says of a redirect whose target is gone. */
const NOWHERE = { index: 0 }

/** The hook itself goes with the last filter, as it would be opened again; what somebody else has there keeps it. */
function clearHook(nl: Netlink, host: LinkRef, name: string): void {
  const ifb = findLink(nl, { name })
  if (ifb?.kind === 'ifb') endRedirect(nl, host, ifb)
  endRedirect(nl, host, NOWHERE)
  if (findHook(nl, host) === 'ingress' && listIngressFilters(nl, host).length === 0)
    unlessGone(() => deleteQdisc(nl, host, 'ingress'))
}
