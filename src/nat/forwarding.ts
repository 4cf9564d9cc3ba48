/**
 * Forwarding of the host: on while an attachment needs it, and for nobody else.
 */

import type { Family } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { NatBackend } from '../model/network.ts'

/** What was changed on the host, from which it can be taken back. Empty lists: nothing. */
export interface ForwardingChange {
  backend: NatBackend
  /** Kernel settings below /proc/sys that were written, in order, with the value each had. */
  settings: { name: string; before: string; after: string }[]
  /** Families whose forwarding was off and got a guard against unrelated forwarding. */
  guards: Family[]
}

/**
 * Turns on forwarding where it is off.
 * @param record hears the change before anything is changed, so that whoever comes after a crash can take it back
 */
export async function openForwarding(
  backend: NatBackend,
  families: Family[],
  record: (change: ForwardingChange) => void = () => {},
): Promise<ForwardingChange> {
  throw new TsnetError('internal', `not there yet: ${backend} ${families} ${record.length}`)
}

/** Takes back what openForwarding changed, unless others forward packets by now. */
export async function closeForwarding(change: ForwardingChange): Promise<void> {
  throw new TsnetError('internal', `not there yet: ${change.backend}`)
}
