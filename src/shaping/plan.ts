/**
 * From limits in bits to token buckets in bytes.
 */

import type { Bandwidth } from '../model/network.ts'
import type { TokenBucket } from '../netlink/qdisc.ts'

export interface ShapingPlan {
  /** The bucket in front of the container. */
  towards?: TokenBucket
  /** The ifb behind the container, and its bucket. */
  from?: { name: string; bucket: TokenBucket }
}

/** How long a packet waits at most. */
const LATENCY_MS = 25
/** Ethernet header and a VLAN tag. */
const FRAME_OVERHEAD = 18
const LIMIT_MAX = 0xffffffff

/** The ifb of an attachment, 15 bytes as IFNAMSIZ allows. */
export const ifbName = (owner: string): string => `bwp${owner.slice(0, 12)}`

/** What is to be done for an attachment; empty without limits. */
export function planShaping(target: { bandwidth: Bandwidth; mtu: number; ifb: string }): ShapingPlan {
  const { bandwidth, mtu, ifb } = target
  const { ingressRate, ingressBurst, egressRate, egressBurst } = bandwidth
  return {
    ...(ingressRate > 0 && { towards: bucketOf(ingressRate, ingressBurst, mtu) }),
    ...(egressRate > 0 && { from: { name: ifb, bucket: bucketOf(egressRate, egressBurst, mtu) } }),
  }
}

/** The bucket for a rate in bits per second and a burst in bits. */
function bucketOf(rateBits: number, burstBits: number, mtu: number): TokenBucket {
  const rate = Math.max(Math.floor(rateBits / 8), 1)
  const burst = Math.min(Math.max(Math.floor(burstBits / 8), mtu + FRAME_OVERHEAD), LIMIT_MAX)
  const limit = Math.min(Math.floor((rate * LATENCY_MS) / 1000) + burst, LIMIT_MAX)
  return { rate, burst, limit }
}
