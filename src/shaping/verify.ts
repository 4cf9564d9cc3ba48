/**
 * Whether the kernel holds what was planned.
 */

import type { Bandwidth } from '../model/network.ts'
import { listIngressFilters } from '../netlink/filter.ts'
import { findLink, type Link, type LinkRef } from '../netlink/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { burstAsListed, listQdiscs, type Qdisc, type TokenBucket } from '../netlink/qdisc.ts'
import { planShaping } from './plan.ts'

/**
 * All differences between plan and kernel, in words; empty when there are none.
 * @param target as for `shape`
 */
export function verifyShaping(
  nl: Netlink,
  target: { hostInterface: string; mtu: number; bandwidth: Bandwidth; ifb: string },
): string[] {
  const { towards, from } = planShaping(target)
  if (towards === undefined && from === undefined) return []
  const host = findLink(nl, { name: target.hostInterface })
  if (host === undefined) return [`interface ${target.hostInterface} is gone`]
  const problems = towards === undefined ? [] : compareBucket(nl, host, towards)
  if (from === undefined) return problems
  const ifb = findLink(nl, { name: from.name })
  if (ifb === undefined) return [...problems, `interface ${from.name} is gone`]
  if (ifb.kind !== 'ifb') return [...problems, `interface ${from.name} is no ifb but ${ifb.kind}`]
  if (!ifb.up) problems.push(`interface ${from.name} is down`)
  const redirected = listIngressFilters(nl, host).some(({ redirectIndex }) => redirectIndex === ifb.index)
  if (!redirected) problems.push(`what ${host.name} receives is not redirected to ${ifb.name}`)
  return [...problems, ...compareBucket(nl, ifb, from.bucket)]
}

const ROOT = 0xffffffff

/** What a link has where it sends. */
export const rootQdisc = (nl: Netlink, link: LinkRef): Qdisc | undefined =>
  listQdiscs(nl, { link }).find(({ parent }) => parent === ROOT)

function compareBucket(nl: Netlink, link: Link, wanted: TokenBucket): string[] {
  const root = rootQdisc(nl, link)
  if (root?.tbf === undefined) {
    return [`interface ${link.name} has no token bucket but ${root?.kind ?? 'nothing'}`]
  }
  const expected = { ...wanted, burst: burstAsListed(wanted) }
  const { tbf } = root
  return (['rate', 'burst', 'limit'] as const)
    .filter(key => Math.abs(tbf[key] - expected[key]) > expected[key] / 100)
    .map(key => `${key} of ${link.name} is ${tbf[key]} bytes instead of ${expected[key]}`)
}
