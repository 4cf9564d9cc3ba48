/**
 * Shaping: how fast a container may receive and send.
 *
 *      container                            host
 *     ┌──────────┐                        ┌────────────────────────────────────────┐
 *     │          │      host veth         │                                        │
 *     │     eth0 ├───────────┬──── tbf ◀──┤ ingress: what the host sends it        │
 *     │          │           │            │                                        │
 *     └──────────┘           └ ingress ──▶│ bwp3f9c… ── tbf ──▶ goes on as received │
 *                              redirect   │ (ifb)                                  │
 *                                         └────────────────────────────────────────┘
 *
 * A token bucket (tbf) can only hold back what a link *transmits*. Towards the container that is the host's
 * end of its veth pair. What the container sends is *received* there, so it is redirected through an
 * intermediate functional block, whose transmit queue holds it back before the host sees it.
 *
 * Rate and burst are the caller's. A packet waits at most 25 ms, as with the reference plugin `bandwidth`, and
 * what would wait longer is dropped; that bounds the queue. One thing differs: a burst below one frame would
 * let nothing through at all (test/netns/shaping.ts), so the bucket always holds one frame.
 *
 * Order: bucket towards the container; ifb, its bucket, the ingress hook, the redirect last, so that no packet
 * goes to a device that is not ready. Each step has its undo. The ifb is named after the attachment, by us with
 * `bwp` and twelve digits of its owner tag: what carries that name is ours, and a left-over of an attempt that
 * died gives way. Tear-down needs only the name: the hook and the bucket go with the veth pair.
 *
 * Limits: one bucket a direction, for all protocols together; ARP counts too. Packets between the container
 * and its own addresses do not pass. The kernel needs sch_tbf, sch_ingress, cls_u32, act_mirred and ifb.
 */

import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import type { Bandwidth, Interface } from '../model/network.ts'
import { present } from '../model/present.ts'
import type { Undo } from '../model/undo.ts'
import { addIfb } from '../netlink/add-link.ts'
import { changeLink, deleteLink, findLink, getLink } from '../netlink/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { addIngress, addRedirect, addTokenBucket, deleteQdisc } from '../netlink/qdisc.ts'
import { planShaping } from './plan.ts'

export { ifbName } from './plan.ts'
export { isRedirectedTo } from './redirects.ts'
export { verifyShaping } from './verify.ts'

/** Whom to shape, and how. */
export interface ShapingTarget {
  /** Name of the host's end of the veth pair. */
  hostInterface: string
  /** Of the veth pair, in bytes. */
  mtu: number
  bandwidth: Bandwidth
  /** Name of the ifb device, should one be needed. */
  ifb: string
  /** What is written at the ifb for those who come across it. */
  alias?: string
  /** Link group of the ifb, so that it can be deleted together with others. */
  group?: number
}

/**
 * Shapes both directions as far as they are limited.
 * @returns the ifb device, where there is one
 * @throws TsnetError `missing`, naming the part that the kernel lacks; NetlinkError for all else
 */
export function shape(nl: Netlink, target: ShapingTarget, undo: Undo): Interface | undefined {
  const { towards, from } = planShaping(target)
  if (towards === undefined && from === undefined) return undefined
  const host = getLink(nl, { name: target.hostInterface })
  if (towards !== undefined) {
    needs('sch_tbf', () => addTokenBucket(nl, host, towards))
    undo.push(`token bucket of ${host.name}`, () => gone(() => deleteQdisc(nl, host, 'root')))
  }
  if (from === undefined) return undefined
  const { name, bucket } = from
  unshape(nl, name)
  const { mtu, group, alias } = target
  const ifb = needs('ifb', () => addIfb(nl, present({ name, mtu, group, alias })))
  undo.push(`link ${name}`, () => unshape(nl, name))
  needs('sch_tbf', () => addTokenBucket(nl, ifb, bucket))
  changeLink(nl, ifb, { up: true })
  needs('sch_ingress', () => addIngress(nl, host))
  undo.push(`ingress hook of ${host.name}`, () => gone(() => deleteQdisc(nl, host, 'ingress')))
  needs('cls_u32 or act_mirred', () => addRedirect(nl, host, ifb))
  return { name, mac: ifb.mac, mtu: ifb.mtu }
}

/** Takes away what `shape` made beside the veth pair; any number of times, also when there is nothing. */
export function unshape(nl: Netlink, name: string): void {
  const ifb = findLink(nl, { name })
  if (ifb?.kind === 'ifb') gone(() => deleteLink(nl, ifb))
}

/** Runs a step for which the kernel must have a part that can be left out of it. */
function needs<T>(part: string, step: () => T): T {
  try {
    return step()
  } catch (cause) {
    if (!hasCode(cause, 'ENOENT', 'EOPNOTSUPP')) throw cause
    throw new TsnetError(
      'missing',
      `bandwidth: this kernel has no ${part}, without which it cannot be limited`,
      {
        details: messageOf(cause),
        cause,
      },
    )
  }
}

/** Takes something away that may be gone already, with the link it was on. */
function gone(work: () => void): void {
  try {
    work()
  } catch (thrown) {
    if (!hasCode(thrown, 'ENODEV', 'ENOENT')) throw thrown
  }
}
