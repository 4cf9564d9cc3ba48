/** Addresses for an attachment, and how a full pool finds some. */

import { type Allocation, obtain } from '../ipam/ipam.ts'
import { hasCode } from '../model/errors.ts'
import type { AttachRequest, Undertaking } from '../model/network.ts'
import { collect } from './collect.ts'
import type { Context } from './context.ts'

/**
 * Takes addresses. When there are none, those of containers that are no more are freed first, after all
 * that leads to them.
 * @throws TsnetError as `obtain`
 */
export async function obtainAddresses(
  { network, requestedIps }: AttachRequest,
  undertaking: Undertaking,
  context: Context,
): Promise<Allocation> {
  try {
    return await obtain(network.ipam, undertaking, requestedIps)
  } catch (thrown) {
    if (!hasCode(thrown, 'exhausted')) throw thrown
    // What could not be taken down keeps its addresses, and that is not this container's trouble.
    await collect(network, undefined, context).catch(() => {})
    return obtain(network.ipam, undertaking, requestedIps)
  }
}
