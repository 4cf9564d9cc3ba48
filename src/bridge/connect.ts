/** Carries out a plan. */

import { TsnetError } from '../model/errors.ts'
import type { Interface } from '../model/network.ts'
import type { Undo } from '../model/undo.ts'
import type { Netns } from '../netns/netns.ts'
import type { BridgeLoan } from './ensure.ts'
import type { LinkPlan } from './plan.ts'

export interface ConnectContext {
  /** Hears the command that would do the same as each change. */
  trace?: (equivalent: string) => void
  /** Accept a container in our own network namespace. */
  allowOwnNetns?: boolean
  /**
   * Hears, before it happens, what is about to be changed on a bridge that is not ours. To be remembered
   * (together with earlier loans of the same bridge) and handed to releaseBridge.
   */
  onLoan?: (loan: BridgeLoan) => void
}

/** The two ends of the pair, and the bridge. */
export interface Connection {
  bridge: Interface
  hostInterface: Interface
  containerInterface: Interface
}

/**
 * Connects a container to its bridge. The caller holds a lock on the bridge's name.
 * @throws TsnetError or NetlinkError; the steps until then are in `undo`
 */
export async function connect(
  plan: LinkPlan,
  _netns: Netns,
  _undo: Undo,
  _context: ConnectContext = {},
): Promise<Connection> {
  throw new TsnetError('internal', `cannot connect ${plan.container.name} yet`)
}
