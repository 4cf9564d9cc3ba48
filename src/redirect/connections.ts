/**
 * Connections that were redirected. A socket carries what it had asked for, so those who named the container itself are
 * told apart from those who were led there, by whichever daemon.
 */

import type { BpfMap } from '../bpf/map.ts'
import { familyOf, type Ip } from '../model/address/address.ts'
import { NETLINK_SOCK_DIAG } from '../netlink/constants.ts'
import { openNetlink } from '../netlink/netlink.ts'
import { connectionsTo, destroyConnection, type TcpSocket } from '../netlink/sock-diag.ts'
import { ASKED, narrowIp } from './layout.ts'
import type { RedirectPlan } from './plan.ts'

/** Those of this thread's namespace that a plan has led. @throws NetlinkError */
export function redirectedBy(plan: RedirectPlan, asked: BpfMap): TcpSocket[] {
  using nl = openNetlink(undefined, NETLINK_SOCK_DIAG)
  return connectionsTo(nl, plan.target.ip, asked.fd).filter(socket => isLedBy(plan, socket))
}

/** Whether a plan is what leads a socket from what it asked for to where it is. */
export function isLedBy(plan: RedirectPlan, { destinationPort, stored }: TcpSocket): boolean {
  const { hostPort, count, target } = plan
  if (stored === undefined || addressIn(stored, ASKED.toAddress) !== target.ip || !isOn(plan, stored))
    return false
  const index = portIn(stored, ASKED.port) - hostPort
  return (
    index >= 0 &&
    index < count &&
    destinationPort === target.port + index &&
    destinationPort === portIn(stored, ASKED.toPort)
  )
}

/** Those that are still there. @throws NetlinkError */
export function stillRedirected(led: readonly TcpSocket[], plan: RedirectPlan, asked: BpfMap): TcpSocket[] {
  const cookies = new Set(led.map(({ id }) => id.cookie))
  return redirectedBy(plan, asked).filter(({ id }) => cookies.has(id.cookie))
}

/** Ends them. @throws NetlinkError `EOPNOTSUPP` */
export function endConnections(sockets: readonly TcpSocket[]): void {
  using nl = openNetlink(undefined, NETLINK_SOCK_DIAG)
  for (const socket of sockets) destroyConnection(nl, socket)
}

/** The same port of another address may be somebody else's, who leads to the same container. */
function isOn({ on }: RedirectPlan, stored: Uint8Array): boolean {
  const ip = addressIn(stored, ASKED.address)
  return on.includes(familyOf(ip)) || on.includes(ip)
}

const addressIn = (bytes: Uint8Array, at: number): Ip => narrowIp(bytes.subarray(at, at + 16))

const portIn = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
