/** Addresses for an attachment, and how a full pool finds some. */

import { type Allocation, obtain } from '../ipam/ipam.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
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
  const take = () => obtain(network.ipam, undertaking, requestedIps)
  try {
    return await take()
  } catch (thrown) {
    if (!hasCode(thrown, 'exhausted')) throw thrown
  }
  // What could not be taken down keeps its addresses, and that is not this container's trouble.
  const trouble = await collect(network, undefined, context).then(
    () => undefined,
    thrown => messageOf(thrown),
  )
  try {
    return await take()
  } catch (thrown) {
    if (trouble === undefined || !hasCode(thrown, 'exhausted')) throw thrown
    const details = `what belongs to containers that are no more could not be taken away: ${trouble}`
    throw new TsnetError('exhausted', messageOf(thrown), { details, cause: thrown })
  }
}
