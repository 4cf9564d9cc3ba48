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
 * let nothing large through (test/netns/shaping.ts), so the bucket always holds one frame.
 *
 * Order: bucket towards the container; ifb, its bucket, the ingress hook, the redirect last, so that no packet
 * goes to a device that is not ready. Each step has its undo. The ifb is named after the attachment, by us with
 * `bwp` and twelve digits of its owner tag: what carries that name is ours, and a left-over of an attempt that
 * died gives way. Tear-down needs only the name: the hook and the bucket go with the veth pair. Where somebody
 * else has opened the hook, our filter joins theirs (redirects.ts); the ifb's alias says where, and it is taken
 * away with the ifb, since theirs may stay.
 *
 * Limits: one bucket a direction, for all protocols together; ARP counts too. Packets between the container
 * and its own addresses do not pass. The kernel needs sch_tbf, sch_ingress, cls_u32, act_mirred and ifb.
 */

import { hasCode, TsnetError } from '../model/errors.ts'
import type { Bandwidth, Interface } from '../model/network.ts'
import { present } from '../model/present.ts'
import type { Undo } from '../model/undo.ts'
import { addIfb } from '../netlink/link/add.ts'
import { changeLink, deleteLink, findLink, getLink, type Link } from '../netlink/link/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { addTokenBucket, deleteQdisc, type TokenBucket } from '../netlink/qdisc/qdisc.ts'
import { needs, unlessGone } from './kernel-parts.ts'
import { planShaping } from './plan.ts'
import { endRedirect, openHook, redirect } from './redirects.ts'
import { rootQdisc } from './verify.ts'

export { ifbName, isIfb } from './plan.ts'
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
  /** Of the ifb; absent: any. */
  mac?: string
  /** Link group of the ifb, so that it can be deleted together with others. */
  group?: number
}

/**
 * Shapes both directions as far as they are limited.
 * @param nl must outlive `undo`
 * @returns the ifb device, where there is one
 * @throws TsnetError `missing`, naming the part that the kernel lacks; `conflict`, naming what is in the way;
 *   NetlinkError for all else
 */
export function shape(nl: Netlink, target: ShapingTarget, undo: Undo): Interface | undefined {
  const { towards, from } = planShaping(target)
  if (towards === undefined && from === undefined) return undefined
  const host = getLink(nl, { name: target.hostInterface })
  if (towards !== undefined) {
    addBucket(nl, host, towards)
    undo.push(`token bucket of ${host.name}`, () => unlessGone(() => deleteQdisc(nl, host, 'root')))
  }
  if (from === undefined) return undefined
  const { name, bucket } = from
  unshape(nl, name)
  const { mac, mtu, group, alias } = target
  const ifb = needs('ifb', () => addIfb(nl, present({ name, mac, mtu, group, alias })))
  undo.push(`link ${name}`, () => unshape(nl, name))
  needs('sch_tbf', () => addTokenBucket(nl, ifb, bucket))
  changeLink(nl, ifb, { up: true })
  const theirs = openHook(nl, host, undo)
  // Before there is one: it has to be found when the hook outlives us.
  if (theirs !== undefined)
    changeLink(nl, ifb, { alias: `${alias ?? 'tsnet bandwidth'}${FILTER_AT}${host.index}` })
  redirect(nl, host, ifb, theirs, undo)
  return { name, mac: ifb.mac, mtu: ifb.mtu }
}

/** Stands at the end of an ifb's alias, before the index of the link whose hook is somebody else's. */
export const FILTER_AT = ' at '

/** Takes away what `shape` made beside the veth pair; any number of times, also when there is nothing. */
export function unshape(nl: Netlink, name: string): void {
  const ifb = findLink(nl, { name })
  if (ifb?.kind !== 'ifb') return
  const [, filterAt] = ifb.alias?.split(FILTER_AT) ?? []
  if (filterAt !== undefined) endRedirect(nl, { index: Number(filterAt) }, ifb)
  unlessGone(() => deleteLink(nl, ifb))
}

function addBucket(nl: Netlink, link: Link, bucket: TokenBucket): void {
  try {
    needs('sch_tbf', () => addTokenBucket(nl, link, bucket))
  } catch (cause) {
    if (!hasCode(cause, 'EEXIST')) throw cause
    const { kind = 'another qdisc', tbf } = rootQdisc(nl, link) ?? {}
    throw new TsnetError(
      'conflict',
      tbf === undefined
        ? `bandwidth: ${link.name} has ${kind} as its root qdisc, which somebody else has set, where the limit would be`
        : `bandwidth: ${link.name} is limited already, to ${tbf.rate * 8} bit/s`,
      { details: `tc qdisc show dev ${link.name} shows it`, cause },
    )
  }
}
