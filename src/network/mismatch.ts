/** How CHECK says what is not as it should be: all of it at once. */

import { TsnetError } from '../model/errors.ts'
import type { AttachmentKey } from '../model/network.ts'

/**
 * @param subject what the problems are of; the attachment, unless given
 * @throws TsnetError `mismatch` naming all of them, where there are any
 */
export function refuseProblems(
  problems: readonly string[],
  { network, containerId, ifname }: AttachmentKey,
  subject = `${ifname} of ${containerId} on ${network}`,
): void {
  if (problems.length === 0) return
  throw new TsnetError('mismatch', `${subject}: ${problems.join('; ')}`)
}
