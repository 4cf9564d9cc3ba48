/**
 * Connections that were redirected. A socket carries what it had asked for, so those who named the container itself are
 * told apart from those who were led there, by whichever daemon.
 */

import type { BpfMap } from '../bpf/map.ts'
import { NETLINK_SOCK_DIAG } from '../netlink/constants.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { connectionsTo, destroyConnection, type TcpSocket } from '../netlink/sock-diag.ts'
import { ASKED } from './layout.ts'
import type { RedirectPlan } from './plan.ts'

/** Those of this thread's namespace that a plan has led. @throws NetlinkError */
export function redirectedBy({ hostPort, count, target }: RedirectPlan, asked: BpfMap): TcpSocket[] {
  using nl = openNetlink(undefined, NETLINK_SOCK_DIAG)
  return connectionsTo(nl, target.ip, asked.fd).filter(({ destinationPort, stored }) => {
    if (stored === undefined) return false
    const index = portIn(stored, ASKED.port) - hostPort
    return (
      index >= 0 &&
      index < count &&
      destinationPort === target.port + index &&
      destinationPort === portIn(stored, ASKED.toPort)
    )
  })
}

/** Ends them. @throws NetlinkError `EOPNOTSUPP` */
export function endRedirected(plan: RedirectPlan, asked: BpfMap): void {
  using nl = openNetlink(undefined, NETLINK_SOCK_DIAG)
  for (const socket of redirectedBy(plan, asked)) destroyConnection(nl, socket)
}

const portIn = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
