/**
 * Containers on a bridge.
 *
 *      container                         host
 *     ┌───────────┐            ┌───────────────────────────────┐
 *     │   eth0 ───┼── veth ────┼─ veth0123abcd ─┐              │
 *     │ 10.1.0.2  │            │                ├─ cni0 ─ (IP) ─┼─ uplink
 *     └───────────┘            │ veth4567cdef ──┘  10.1.0.1    │
 *                              └───────────────────────────────┘
 *
 * `planLink` computes everything as a plain value (options, leases and routes in; links, addresses, routes
 * and settings out) and refuses what cannot work. `describePlan` prints it as commands, `connect` carries
 * it out, `verifyLink` compares it with the kernel. The steps of `connect`, each taken back when a later
 * one fails:
 *
 *     1  refuse our own namespace, and an interface that the container has already
 *     2  the bridge: make it or adopt it; its settings before it comes up; its gateways
 *     3  the veth pair, in one request, the container's end directly in its namespace
 *     4  the host's end: settings, what guards it, then alias and up in one request (port settings before up)
 *     5  the container's end: settings, addresses, up, routes
 *     6  wait until the port forwards (normally it does) and, if asked for, for duplicate address detection
 *     7  announce the addresses
 *
 * Whose is what. A bridge that we make has the alias `tsnet`, the host end of a veth pair the alias
 * `tsnet:OWNER`; until a link has its alias its MAC says the same, since an alias cannot be given at
 * creation and whoever dies in between must not leave something that nobody knows. Only what is proved so is
 * ever deleted, by owner alone, without record or namespace. A bridge of somebody else keeps everything that
 * the network's options do not ask for; what we do change there is announced as a loan before it happens, and
 * given back when the last container has gone.
 *
 * MACs. A MAC given at creation is fixed: neither ports nor udev change it. That of a host end is higher
 * than any other, so that a bridge without a fixed one (not ours) does not take it over.
 *
 * MTU. A bridge's MTU is the least of its ports', which the kernel sees to; both ends of a pair get the one
 * of the network or of the uplink.
 *
 * IPv6. Gateways skip duplicate address detection: before the first port there is nobody to ask, and the
 * container would wait for it. Router advertisements are taken neither by our bridges nor by interfaces that
 * get addresses from us, and an interface without an IPv6 address has no IPv6.
 *
 * VLANs are a port's membership; the host is in one through an interface `BRIDGE.ID`, which has the gateway.
 *
 * Uplink. A bridge without addresses may have an interface of the host for a port, as long as it has containers: then
 * these are on the wire outside.
 *
 * Limits. The caller holds a lock on the bridge's name around connect, disconnect and releaseBridge. The
 * fixed MAC that an adopted bridge gets together with a gateway stays. Frames are not filtered here.
 */

export { announceTaken } from './announce.ts'
export { type ConnectContext, type Connection, connect, offer, retract } from './connect.ts'
export { describePlan } from './describe.ts'
export { type Departure, disconnect, findHostEnd, silence } from './disconnect.ts'
export type { BridgeLoan } from './ensure.ts'
export { ownerInAlias } from './names.ts'
export { checkBridgeOptions, vlanInterface } from './plan/options.ts'
export { type LinkPlan, type LinkRequest, planLink } from './plan/plan.ts'
export { releaseBridge } from './release.ts'
export { uplinkMtu } from './uplink.ts'
export { uplinkObstacle } from './uplink-port.ts'
export {
  type HostSide,
  type HostSideLoss,
  lookAtHostSides,
  lostHostSide,
  mendHostSide,
} from './verify/mend.ts'
export { type Expected, verifyResult } from './verify/result.ts'
export { verifyInside, verifyLink } from './verify/verify.ts'
