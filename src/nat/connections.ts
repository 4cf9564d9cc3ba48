/**
 * All connections that this host passes on or ends, as they are seen here: who asked whom, and who answers.
 *
 * The kernel is asked for those that somebody has answered, and only for these. What a bridge hands from one port to
 * another without routing it is not among them, unless the host has br_netfilter look at it.
 *
 * Source: linux/netfilter/nfnetlink_conntrack.h.
 */

import type { Ip } from '../model/address/address.ts'
import { present } from '../model/present.ts'
import { IPCTNL_MSG_CT_GET } from '../netfilter/constants.ts'
import { netfilterHere } from '../netfilter/netfilter.ts'
import { nfgenmsg } from '../netfilter/values.ts'
import { attributes, nested, payload } from '../netlink/attributes.ts'
import { be32, be64, binary } from '../netlink/codecs.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { bits, isTracking, readTuple, selection } from './conntrack.ts'
import { goesOn, progress } from './flows.ts'

export interface Connection {
  /** As it stands in packets: 6 is TCP. */
  protocol: number
  /** Who began it, and whom it asked, before any rule has changed that. */
  from: Ip
  asked: Ip
  /** Who answers it. */
  answers: Ip
  /** Asked for, and of who answers; absent where the protocol has no ports. */
  port?: number
  answeringPort?: number
  /** Both ways; absent where the kernel does not count (net.netfilter.nf_conntrack_acct). */
  bytes?: number
}

const counted = nested(attributes({ bytes: [2, be64] }))
const entry = payload(
  nfgenmsg,
  attributes({
    original: [1, binary],
    reply: [2, binary],
    status: [3, be32],
    progress: [4, progress],
    sent: [9, counted],
    answered: [10, counted],
  }),
)

/** Those that live. @throws NetlinkError */
export const listConnections = (): Connection[] => (isTracking() ? connectionsIn(netfilterHere()) : [])

/** As listConnections, of a kernel. Equivalent to: conntrack -L -u SEEN_REPLY */
export function connectionsIn(nl: Netlink): Connection[] {
  const messages = nl.dump({
    equivalent: 'conntrack -L -u SEEN_REPLY',
    type: IPCTNL_MSG_CT_GET,
    payload: [
      selection.encode({
        header: { version: 1 },
        attributes: { status: bits.answered, statusMask: bits.answered },
      }),
    ],
  })
  return messages.flatMap(message => readConnection(message.payload) ?? [])
}

function readConnection(bytes: Uint8Array): Connection | undefined {
  const { original, reply, status = 0, progress, sent, answered } = entry.decode(bytes).attributes
  // Older kernels do not choose.
  if (original === undefined || reply === undefined || !goesOn(status, progress)) return undefined
  const [begun, back] = [readTuple(original), readTuple(reply)]
  const { source: from, destination: asked, protocol, destinationPort: port } = begun
  const { source: answers, sourcePort: answeringPort } = back
  if (from === undefined || asked === undefined || answers === undefined || protocol === undefined)
    return undefined
  const isCounted = sent?.bytes !== undefined || answered?.bytes !== undefined
  const bytesBoth = Number((sent?.bytes ?? 0n) + (answered?.bytes ?? 0n))
  return {
    protocol,
    from,
    asked,
    answers,
    ...present({ port, answeringPort, bytes: isCounted ? bytesBoth : undefined }),
  }
}
