/**
 * Connections that rules have led to containers, as far as they live.
 *
 * The kernel remembers one for minutes after its end, and one of TCP for days where nobody says that it is over. So
 * it is asked how far each has come: what both sides have closed, or has had no answer yet, is none.
 *
 * Source: linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_tcp.h, nf_conntrack_sctp.h.
 */

import { type Family, familiesOf, type Ip } from '../model/address/address.ts'
import { type PortMapping, protocolNumbers } from '../model/port-mapping.ts'
import { IPCTNL_MSG_CT_GET } from '../netfilter/constants.ts'
import { netfilterHere } from '../netfilter/netfilter.ts'
import { nfgenmsg } from '../netfilter/values.ts'
import { attributes, nested, payload } from '../netlink/attributes.ts'
import { be32, binary, u8 } from '../netlink/codecs.ts'
import type { Netlink } from '../netlink/netlink.ts'
import { bits, flowsTo, isTracking, readTuple, selection } from './conntrack.ts'
import { isServed, localAddresses, servedPorts } from './served-ports.ts'

const state = nested(attributes({ state: [1, u8] }))

/** How far the protocol itself has come. */
export const progress = nested(attributes({ tcp: [1, state], sctp: [3, state] }))

const flow = payload(
  nfgenmsg,
  attributes({
    original: [1, binary],
    reply: [2, binary],
    status: [3, be32],
    progress: [4, progress],
  }),
)

/** SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT: one side at least may still send. */
const TCP_LIVES = [2, 3, 4, 5]
/** COOKIE_ECHOED, ESTABLISHED, SHUTDOWN_SENT, SHUTDOWN_RECD. */
const SCTP_LIVES = [3, 4, 5, 6]

/**
 * How many connections live that rules have led from a published port to these addresses.
 * @throws NetlinkError
 */
export const countFlows = (mapping: PortMapping, targets: readonly Ip[]): number =>
  isTracking() ? countIn(netfilterHere(), mapping, targets, localAddresses) : 0

/** As countFlows, of a kernel whose host has `local` addresses. */
export function countIn(
  nl: Netlink,
  mapping: PortMapping,
  targets: readonly Ip[],
  local: (family: Family) => Set<Ip>,
): number {
  const { protocol } = mapping
  return familiesOf(targets).reduce((sum, family) => {
    const served = servedPorts(family, [mapping], local(family))
    const messages = nl.dump({
      equivalent: `conntrack -L -p ${protocol}`,
      type: IPCTNL_MSG_CT_GET,
      payload: [selection.encode(flowsTo(protocolNumbers[protocol], family))],
    })
    const found = messages.filter(message => {
      const { original, reply, status = 0, progress } = flow.decode(message.payload).attributes
      if (original === undefined || reply === undefined || !isLed(status)) return false
      if (!goesOn(status, progress)) return false
      const { source } = readTuple(reply)
      return source !== undefined && targets.includes(source) && isServed(served, readTuple(original))
    })
    return sum + found.length
  }, 0)
}

interface Progress {
  tcp?: { state?: number | undefined } | undefined
  sctp?: { state?: number | undefined } | undefined
}

const isLed = (status: number): boolean => (status & bits.destinationChanged) !== 0

/** False for what nobody has answered yet, and for what both sides have closed. */
export function goesOn(status: number, { tcp, sctp }: Progress = {}): boolean {
  if ((status & bits.answered) === 0) return false
  if (tcp?.state !== undefined) return TCP_LIVES.includes(tcp.state)
  return sctp?.state === undefined || SCTP_LIVES.includes(sctp.state)
}
