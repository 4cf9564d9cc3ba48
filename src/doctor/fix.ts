/** Mends what is ours to mend, each kind once. */

import { connectControl } from '../control/client.ts'
import { daemonAtHand } from '../control/start.ts'
import { changeLink, findLink } from '../netlink/link/link.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { forgetStale, reconcile } from '../network/reconcile/reconcile.ts'
import type { Fix } from './fault.ts'

/** What a fix does, for whoever is asked. */
export function describeFix(fix: Fix): string {
  switch (fix.do) {
    case 'reconcile':
      return 'put back what was taken of our rules, bridges and settings'
    case 'start-daemon':
      return 'start the daemon, which ends when nothing needs it'
    case 'forget-connections':
      return 'have the kernel forget connections that began before their rules'
    case 'forward':
      return `have ${fix.link}, our port of a bridge, forward`
  }
}

/** The same thing twice is one. */
export const sameFix = (one: Fix, other: Fix): boolean => JSON.stringify(one) === JSON.stringify(other)

/** It may stand in line for a lock. */
const WITHIN_MS = 120_000

/** BR_STATE_FORWARDING, linux/if_bridge.h. */
const FORWARDING = 3

/** @throws TsnetError, NetlinkError */
export async function mend(fix: Fix): Promise<void> {
  switch (fix.do) {
    case 'reconcile': {
      using client = await connectControl()
      if (client === undefined) await reconcile()
      else await client.ask('reconcile', { isDry: false }, WITHIN_MS)
      return
    }
    case 'start-daemon': {
      using _ = await daemonAtHand()
      return
    }
    case 'forget-connections':
      return forgetStale()
    case 'forward': {
      using nl = openNetlink()
      const link = findLink(nl, { name: fix.link })
      if (link !== undefined) changeLink(nl, link, { port: { state: FORWARDING } })
    }
  }
}
