/**
 * Hears what others do to what leads to the other hosts, so that nobody has to look for it again and again: with a thousand
 * hosts a look reads some thousand things.
 *
 *     kernel ─▶ a filter of its own ─▶ Losses ─▶ whoever holds that route, neighbour or entry looks at once
 *
 * The kernel lets through routes of our protocol and rules that go, addresses of this host that come or go, and what happens to
 * the links that are watched, of which containers' links are none. What we take away ourselves is told too, and is what
 * nobody holds any more by then. What is replaced by something else is found by the look that comes by itself.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Readable } from '../ffi/readable.ts'
import { messageOf } from '../model/errors.ts'
import * as k from '../netlink/constants.ts'
import { readFdbEntry } from '../netlink/link/fdb.ts'
import { Listener, lossesOf } from '../netlink/listener.ts'
import type { Message } from '../netlink/message.ts'
import { readNeighbour } from '../netlink/neighbour.ts'
import { readRoute } from '../netlink/route.ts'
import { protocolOfRule } from '../netlink/rule.ts'
import { entryKey, neighbourKey, PROTOCOL, routeKey } from './carrier/plan.ts'

const GROUPS = [
  k.RTNLGRP_LINK,
  k.RTNLGRP_NEIGH,
  k.RTNLGRP_IPV4_IFADDR,
  k.RTNLGRP_IPV6_IFADDR,
  k.RTNLGRP_IPV4_ROUTE,
  k.RTNLGRP_IPV6_ROUTE,
  k.RTNLGRP_IPV4_RULE,
  k.RTNLGRP_IPV6_RULE,
]
/** What comes in one burst is heard together. */
const BURST_MS = 25

/** The key of a thing that is gone (carrier/plan.ts); or it may be anything. */
export type Loss = string | 'anything'

export class Losses implements AsyncDisposable {
  readonly #listener = new Listener({
    protocol: k.NETLINK_ROUTE,
    groups: GROUPS,
    filter: lossesOf(PROTOCOL, []),
  })
  readonly #readable = new Readable([this.#listener.number])
  readonly #hearing: Promise<void>
  #links = ''

  /** @param hear is told of each once in a burst @throws SystemError */
  constructor(hear: (losses: ReadonlySet<Loss>) => void, log: (line: string) => void) {
    this.#hearing = this.#hear(hear).catch(thrown =>
      log(`what others take away between hosts is noticed later from now on: ${messageOf(thrown)}`),
    )
  }

  /** Of these links everything is told. */
  watch(links: readonly number[]): void {
    const wanted = [...new Set(links)].sort((a, b) => a - b)
    if (wanted.join() === this.#links) return
    this.#links = wanted.join()
    this.#listener.refilter(lossesOf(PROTOCOL, wanted))
  }

  async #hear(hear: (losses: ReadonlySet<Loss>) => void): Promise<void> {
    while (await this.#readable.wait()) {
      const losses = new Set<Loss>()
      const isWhole = this.#listener.drain(message => {
        const loss = lossIn(message)
        if (loss !== undefined) losses.add(loss)
      })
      if (!isWhole) losses.add('anything')
      if (losses.size > 0) hear(losses)
      await sleep(BURST_MS)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#readable.end()
    await this.#hearing
    this.#listener[Symbol.dispose]()
  }
}

function lossIn(message: Message): Loss | undefined {
  switch (message.type) {
    case k.RTM_DELROUTE: {
      const route = readRoute(message)
      return route?.table === k.RT_TABLE_MAIN ? routeKey(route.destination) : 'anything'
    }
    case k.RTM_DELRULE:
      return protocolOfRule(message) === PROTOCOL ? 'anything' : undefined
    case k.RTM_DELNEIGH: {
      if (message.payload[0] === k.AF_BRIDGE) {
        const entry = readFdbEntry(message)
        return entry && entryKey(entry.mac)
      }
      const neighbour = readNeighbour(message)
      return neighbour && neighbourKey(neighbour.ip)
    }
    default:
      return 'anything'
  }
}
