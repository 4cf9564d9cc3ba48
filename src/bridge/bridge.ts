/**
 * Containers on a bridge.
 */

export { type ConnectContext, type Connection, connect } from './connect.ts'
export { describePlan } from './describe.ts'
export { disconnect, silence } from './disconnect.ts'
export type { BridgeLoan } from './ensure.ts'
export { checkBridgeOptions } from './options.ts'
export { type LinkPlan, type LinkRequest, planLink } from './plan.ts'
export { releaseBridge } from './release.ts'
export { uplinkMtu } from './uplink.ts'
export { verifyLink } from './verify.ts'
