/**
 * What containers have received and sent, by the host's ends of their links: what the host receives there, the container
 * has sent.
 */

import { libc } from '../ffi/ffi.ts'
import { messageOf } from '../model/errors.ts'
import { type LinkStatistics, listStatistics } from '../netlink/link/statistics.ts'
import { openNetlink } from '../netlink/netlink.ts'
import type { Traffic } from './counters.ts'
import type { Seen } from './seen.ts'

export class LinkCounters {
  /** By owner: a link keeps its index for as long as it is there. */
  #indices = new Map<string, number>()
  #of: readonly Seen[] | undefined

  /** By owner; who is missing has no link any more. */
  read(attached: readonly Seen[]): { traffic: Map<string, Traffic>; obstacle?: string } {
    const traffic = new Map<string, Traffic>()
    if (attached.length === 0) return { traffic }
    try {
      using nl = openNetlink()
      const statistics = listStatistics(nl)
      this.#learn(attached, statistics)
      for (const { owner } of attached) {
        const found = statistics.get(this.#indices.get(owner) ?? 0)
        if (found !== undefined) traffic.set(owner, trafficOf(found))
      }
      return { traffic }
    } catch (thrown) {
      return { traffic, obstacle: `the kernel does not tell what links have received: ${messageOf(thrown)}` }
    }
  }

  #learn(attached: readonly Seen[], there: ReadonlyMap<number, unknown>): void {
    if (attached === this.#of) return
    const indices = new Map<string, number>()
    for (const { owner, hostInterface } of attached) {
      const known = this.#indices.get(owner)
      indices.set(owner, known !== undefined && there.has(known) ? known : libc.if_nametoindex(hostInterface))
    }
    this.#indices = indices
    this.#of = attached
  }
}

const trafficOf = (link: LinkStatistics): Traffic => ({
  bytesIn: link.sentBytes,
  bytesOut: link.receivedBytes,
  packetsIn: link.sentPackets,
  packetsOut: link.receivedPackets,
  dropped: link.sendDropped + link.receiveDropped + link.sendErrors + link.receiveErrors,
})
