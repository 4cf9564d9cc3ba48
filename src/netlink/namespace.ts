/**
 * Numbers of namespaces: each network namespace numbers others as it meets them, which is how a link says
 * where its other end is.
 *
 * Source: linux/net_namespace.h (NETNSA_*); struct rtgenmsg of linux/rtnetlink.h.
 */

import { attributes, payload } from './attributes.ts'
import { s32, struct, u8, u32 } from './codecs.ts'
import * as k from './constants.ts'
import type { Netlink } from './netlink.ts'

export const namespaceMessage = payload(
  struct(4, { family: [0, u8] }),
  attributes({ id: [1, s32], fd: [3, u32] }),
)

/**
 * The number that the namespace of the conversation has for another one; -1 when it has none.
 * Equivalent to: ip netns list-id
 * @param fd of the other namespace
 */
export function netnsNumber(nl: Netlink, fd: number): number {
  const message = nl.get({
    equivalent: 'ip netns list-id',
    type: k.RTM_GETNSID,
    payload: [namespaceMessage.encode({ header: {}, attributes: { fd } })],
  })
  return namespaceMessage.decode(message.payload).attributes.id ?? -1
}
