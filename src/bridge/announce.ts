/**
 * Tells the neighbours which MAC the container's addresses have now.
 *
 * An address may have been another container's a moment ago, and whoever spoke with that one would send to
 * its MAC for up to a minute. With arp_notify and ndisc_notify the kernel announces all addresses of a
 * link (gratuitous ARP, unsolicited neighbour advertisement) when it comes up, but at that moment the
 * bridge does not yet forward what comes from the new port; so the link is given its own MAC once more,
 * which announces them again. One request and nothing to wait for, where a packet socket would cost 10 ms
 * to close (it waits for an RCU grace period).
 */

import { TsnetError } from '../model/errors.ts'
import { changeLink, findLink, type Link, type LinkRef } from '../netlink/link/link.ts'
import type { Netlink } from '../netlink/netlink.ts'
import type { Netns } from '../netns/netns.ts'
import type { ContainerPlan } from './plan/plan.ts'
import { announcing, applyToNew } from './settings.ts'
import type { Side } from './side.ts'
import { until } from './wait.ts'

/** BR_STATE_FORWARDING, linux/if_bridge.h. */
const FORWARDING = 3

/** BR_STATE_LISTENING and BR_STATE_LEARNING: with STP it forwards in 30 s, which nobody waits for. */
const UNDER_WAY = [1, 2]

/** Long enough for many others that wait for the kernel's one lock at the same time. */
const FORWARDING_WITHIN_MS = 10_000

/**
 * Waits until the bridge forwards what comes from the port: without STP that is now, or when the kernel
 * has noticed the carrier.
 * @throws TsnetError `kernel` when the port has no carrier or is switched off
 */
export async function waitForPort(nl: Netlink, port: LinkRef): Promise<void> {
  const forwards = await until(FORWARDING_WITHIN_MS, () => {
    const state = findLink(nl, { index: port.index })?.port?.state
    return state === FORWARDING || (state !== undefined && UNDER_WAY.includes(state))
  })
  if (!forwards) throw new TsnetError('kernel', `port ${port.name} of the bridge did not begin to forward`)
}

/** Announces all addresses of the container's interface. */
export function announce({ nl }: Side, link: LinkRef, { mac, up, addresses }: ContainerPlan): void {
  if (up && addresses.length > 0) changeLink(nl, link, { mac })
}

/**
 * The same of an interface that somebody else has put into a container and configured there, at any time after.
 * @throws NetlinkError
 */
export function announceTaken(netns: Netns, nl: Netlink, link: Link): void {
  applyToNew({ netns, trace: () => {} }, announcing(link.name))
  changeLink(nl, link, { mac: link.mac })
}
