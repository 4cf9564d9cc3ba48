/**
 * Sockets kept open for each network namespace this process works in.
 *
 * Closing a socket of NETLINK_NETFILTER waits for an RCU grace period (about 15 ms) when somebody deleted
 * nftables rules a moment ago, which is just when we use them. A process that ends leaves closing to the
 * kernel, which does not make it wait.
 */

import { NETLINK_NETFILTER } from '../netlink/constants.ts'
import { type Netlink, openNetlink } from '../netlink/netlink.ts'
import { inodeHere } from '../netns/netns.ts'

/** A function that returns what `make` returned in the namespace the thread is in, however often it is called. */
export function onceHere<T>(make: () => T): () => T {
  const made = new Map<number, T>()
  return () => {
    const namespace = inodeHere()
    const value = made.get(namespace) ?? make()
    made.set(namespace, value)
    return value
  }
}

/** The conversation with nf_tables and ctnetlink here. */
export const netfilterHere: () => Netlink = onceHere(() => openNetlink(undefined, NETLINK_NETFILTER))
