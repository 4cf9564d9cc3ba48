/**
 * What links have received and sent, of all of them at once.
 *
 * The kernel answers with numbers alone, some 250 bytes a link, where a list of links has everything that they are.
 *
 * Source: linux/if_link.h (struct if_stats_msg, struct rtnl_link_stats64, enum IFLA_STATS_*).
 */

import { attributes, payload } from '../attributes.ts'
import { low32, MalformedError, struct, u32, writing } from '../codecs.ts'
import * as k from '../constants.ts'
import type { Netlink } from '../netlink.ts'

/** As the link itself counts: `received` is what came in by it. */
export interface LinkStatistics {
  receivedPackets: number
  sentPackets: number
  receivedBytes: number
  sentBytes: number
  receiveErrors: number
  sendErrors: number
  receiveDropped: number
  sendDropped: number
}

const FIELDS = [
  'receivedPackets',
  'sentPackets',
  'receivedBytes',
  'sentBytes',
  'receiveErrors',
  'sendErrors',
  'receiveDropped',
  'sendDropped',
] as const satisfies (keyof LinkStatistics)[]

/** Exact to 2^53. */
const low64 = (bytes: Uint8Array, at: number): number =>
  (low32(bytes, at) >>> 0) + (low32(bytes, at + 4) >>> 0) * 2 ** 32

/** struct rtnl_link_stats64, as far as it is read; it grows at its end. */
const statistics = writing<LinkStatistics>({
  write(to, values) {
    const at = to.reserve(8 * FIELDS.length)
    for (const [i, field] of FIELDS.entries()) to.bytes.writeBigUInt64LE(BigInt(values[field]), at + 8 * i)
  },
  decode(bytes) {
    if (bytes.length < 8 * FIELDS.length)
      throw new MalformedError(`${8 * FIELDS.length} bytes of statistics expected, ${bytes.length} found`)
    return {
      receivedPackets: low64(bytes, 0),
      sentPackets: low64(bytes, 8),
      receivedBytes: low64(bytes, 16),
      sentBytes: low64(bytes, 24),
      receiveErrors: low64(bytes, 32),
      sendErrors: low64(bytes, 40),
      receiveDropped: low64(bytes, 48),
      sendDropped: low64(bytes, 56),
    }
  },
})

export const statisticsMessage = payload(
  struct(12, { index: [4, u32], filter: [8, u32] }), // struct if_stats_msg
  attributes({ links: [1, statistics] }), // IFLA_STATS_LINK_64
)

/** IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64). */
const LINK_64 = 1

/**
 * Of every link of the namespace, by its index.
 * Equivalent to: ip -s link show
 * @throws NetlinkError
 */
export function listStatistics(nl: Netlink): Map<number, LinkStatistics> {
  const messages = nl.dump({
    equivalent: 'ip -s link show',
    type: k.RTM_GETSTATS,
    payload: [statisticsMessage.encode({ header: { filter: LINK_64 }, attributes: {} })],
  })
  const found = new Map<number, LinkStatistics>()
  for (const message of messages) {
    const { header, attributes } = statisticsMessage.decode(message.payload)
    if (attributes.links !== undefined) found.set(header.index, attributes.links)
  }
  return found
}
