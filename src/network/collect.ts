/** Takes away what belongs to containers that are no more. */

import { TsnetError } from '../model/errors.ts'
import type { AttachmentKey, Network } from '../model/network.ts'
import type { Context } from './context.ts'

/**
 * @param valid attachments that live; all others of this network go. Absent: only what is provably dead
 *   goes (made before the last boot, or its namespace is gone).
 * @returns what was taken away
 * @throws AggregateError after having done all that could be done
 */
export async function collect(
  network: Network,
  _valid: { containerId: string; ifname: string }[] | undefined,
  _context: Context = {},
): Promise<AttachmentKey[]> {
  throw new TsnetError('internal', `cannot collect on ${network.name} yet`)
}
