/** Gives a bridge up that no container uses any more. */

import type { BridgeLoan } from './ensure.ts'

/**
 * Deletes the bridge if it is ours and has no port left; gives a bridge of somebody else back what was
 * changed on it. The caller holds a lock on the bridge's name.
 * @returns true when the bridge was deleted
 */
export async function releaseBridge(_name: string, _loan?: BridgeLoan): Promise<boolean> {
  return false
}
