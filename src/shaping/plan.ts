/**
 * From limits in bits to token buckets in bytes.
 */

import type { Bandwidth } from '../model/network.ts'
import type { TokenBucket } from '../netlink/qdisc/qdisc.ts'

export interface ShapingPlan {
  /** The bucket in front of the container. */
  towards?: TokenBucket
  /** The ifb behind the container, and its bucket. */
  from?: { name: string; bucket: TokenBucket }
}

/** How long a packet waits at most. */
const LATENCY_MS = 25
/** An Ethernet header; a VLAN tag is no part of the packet while it waits. */
const FRAME_OVERHEAD = 14
const LIMIT_MAX = 0xffffffff
/** What 32 bits of the kernel's ticks, of 64 ns, hold. */
const MICROSECONDS_MAX = Math.floor((0xffffffff * 64) / 1000)

const IFB_PREFIX = 'bwp'

/** The ifb of an attachment, 15 bytes as IFNAMSIZ allows. */
export const ifbName = (owner: string): string => `${IFB_PREFIX}${owner.slice(0, 12)}`

/** True for one of a limit, whoever made it: the reference's plugin names them alike. */
export const isIfb = ({ kind, name }: { kind: string | undefined; name: string }): boolean =>
  kind === 'ifb' && name.startsWith(IFB_PREFIX)

/** What is to be done for an attachment; empty without limits. */
export function planShaping(target: { bandwidth: Bandwidth; mtu: number; ifb: string }): ShapingPlan {
  const { bandwidth, mtu, ifb } = target
  const { ingressRate, ingressBurst, egressRate, egressBurst } = bandwidth
  return {
    ...(ingressRate > 0 && { towards: bucketOf(ingressRate, ingressBurst, mtu) }),
    ...(egressRate > 0 && { from: { name: ifb, bucket: bucketOf(egressRate, egressBurst, mtu) } }),
  }
}

/**
 * The bucket for a rate in bits per second and a burst in bits. The reference counts a burst in whole
 * microseconds, and its CHECK wants exactly that; so does ours, unless what is cut off leaves less than a frame.
 */
function bucketOf(rateBits: number, burstBits: number, mtu: number): TokenBucket {
  const frame = mtu + FRAME_OVERHEAD
  const asked = referenceBucket(rateBits, burstBits)
  const { rate, burst, burstMicroseconds } = asked
  const counted = Math.floor((burstMicroseconds * rate) / 1e6)
  if (counted >= frame && burstMicroseconds <= MICROSECONDS_MAX) return asked
  return { rate, ...withLimit(rate, Math.min(Math.max(burst, frame), LIMIT_MAX)) }
}

/** The bucket as the reference plugin makes it: it may hold less than a frame, and then lets only small packets pass. */
export function referenceBucket(rateBits: number, burstBits: number) {
  const rate = Math.max(Math.floor(rateBits / 8), 1)
  const burst = Math.floor(burstBits / 8)
  return { rate, ...withLimit(rate, burst), burstMicroseconds: Math.floor((burst * 1e6) / rate) }
}

const withLimit = (rate: number, burst: number) => ({
  burst,
  limit: Math.min(Math.floor((rate * LATENCY_MS) / 1000) + burst, LIMIT_MAX),
})
