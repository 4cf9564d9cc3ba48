/**
 * Rules about packets: masquerade, published ports, and who may not reach whom.
 */

import { TsnetError } from '../model/errors.ts'
import type { NatBackend, NatIntent } from '../model/network.ts'

export { flushConntrack } from './conntrack.ts'
export { closeForwarding, type ForwardingChange, openForwarding } from './forwarding.ts'
export { installSpoofGuard, type SpoofGuard, verifySpoofGuard, withdrawSpoofGuard } from './spoof.ts'

/**
 * The backend to use: the configured one, else iptables where there is `iptables-restore`, else nftables.
 * @throws TsnetError `missing`: what it needs is not installed
 */
export function chooseBackend(configured?: NatBackend): NatBackend {
  return configured ?? 'iptables'
}

/**
 * Installs all rules of an attachment, or none. The owner must have none yet.
 * @throws TsnetError `invalid-config` or `unsupported-field`: a mapping cannot be served by the kernel;
 *   `conflict`: another owner has this host port; `try-again`: the xtables lock was held too long;
 *   `kernel`, `missing`
 */
export async function install(backend: NatBackend, intent: NatIntent): Promise<void> {
  throw new TsnetError('internal', `not there yet: ${backend} ${intent.owner}`)
}

/** What withdraw may use, none of which it needs. */
export interface WithdrawHint {
  /** What was installed: saves looking. */
  intent?: NatIntent
  /** No other attachment has rules: what all share goes too. Safe when wrong. */
  last: boolean
}

/** Removes all rules of an owner, as often as one likes. */
export async function withdraw(backend: NatBackend, owner: string, hint: WithdrawHint): Promise<void> {
  throw new TsnetError('internal', `not there yet: ${backend} ${owner} ${hint.last}`)
}

/** All that the kernel's rules lack or have too much of this intent, in words; empty: all is right. */
export async function verifyRules(backend: NatBackend, intent: NatIntent): Promise<string[]> {
  throw new TsnetError('internal', `not there yet: ${backend} ${intent.owner}`)
}

/** The owner tags that have rules or a spoof guard. */
export async function owners(backend: NatBackend): Promise<string[]> {
  throw new TsnetError('internal', `not there yet: ${backend}`)
}

/** The rules as the document that install hands to the kernel. */
export function describeRules(backend: NatBackend, intent: NatIntent): string {
  throw new TsnetError('internal', `not there yet: ${backend} ${intent.owner}`)
}
