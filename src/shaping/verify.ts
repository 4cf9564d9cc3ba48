/**
 * Whether the kernel holds what was planned.
 */

import type { Bandwidth } from '../model/network.ts'
import { findLink, type Link, type LinkRef } from '../netlink/link/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { listIngressFilters } from '../netlink/qdisc/filter.ts'
import { burstAsListed, listQdiscs, type Qdisc, type TokenBucket } from '../netlink/qdisc/qdisc.ts'
import { planShaping, referenceBucket } from './plan.ts'

interface Expected {
  hostInterface: string
  mtu: number
  bandwidth: Bandwidth
  ifb: string
  /** The reference plugin may have made the buckets: less than a frame in them is right, too. */
  orReference?: boolean
}

/**
 * All differences between plan and kernel, in words; empty when there are none.
 * @param target as for `shape`
 */
export function verifyShaping(nl: Netlink, target: Expected): string[] {
  const { towards, from } = planShaping(target)
  if (towards === undefined && from === undefined) return []
  const { ingressRate, ingressBurst, egressRate, egressBurst } = target.bandwidth
  const right = (bucket: TokenBucket, rate: number, burst: number): TokenBucket[] =>
    target.orReference ? [bucket, referenceBucket(rate, burst)] : [bucket]
  const host = findLink(nl, { name: target.hostInterface })
  if (host === undefined) return [`interface ${target.hostInterface} is gone`]
  const problems =
    towards === undefined ? [] : compareBucket(nl, host, right(towards, ingressRate, ingressBurst))
  if (from === undefined) return problems
  const ifb = findLink(nl, { name: from.name })
  if (ifb === undefined) return [...problems, `interface ${from.name} is gone`]
  if (ifb.kind !== 'ifb') return [...problems, `interface ${from.name} is no ifb but ${ifb.kind}`]
  if (!ifb.up) problems.push(`interface ${from.name} is down`)
  const redirected = listIngressFilters(nl, host).some(({ redirectIndex }) => redirectIndex === ifb.index)
  if (!redirected) problems.push(`what ${host.name} receives is not redirected to ${ifb.name}`)
  return [...problems, ...compareBucket(nl, ifb, right(from.bucket, egressRate, egressBurst))]
}

const ROOT = 0xffffffff

/** What a link has where it sends. */
export const rootQdisc = (nl: Netlink, link: LinkRef): Qdisc | undefined =>
  listQdiscs(nl, { link }).find(({ parent }) => parent === ROOT)

/** @param right any of these will do; differences are told from the first */
function compareBucket(nl: Netlink, link: Link, right: TokenBucket[]): string[] {
  const root = rootQdisc(nl, link)
  const tbf = root?.tbf
  if (tbf === undefined) {
    return [`interface ${link.name} has no token bucket but ${root?.kind ?? 'nothing'}`]
  }
  const differences = right.map(wanted => {
    const expected = { ...wanted, burst: burstAsListed(wanted) }
    return (['rate', 'burst', 'limit'] as const)
      .filter(key => Math.abs(tbf[key] - expected[key]) > expected[key] / 100)
      .map(key => `${key} of ${link.name} is ${tbf[key]} bytes instead of ${expected[key]}`)
  })
  return differences.some(each => each.length === 0) ? [] : (differences[0] ?? [])
}
