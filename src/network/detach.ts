/** Takes a container off a network. */

import { TsnetError } from '../model/errors.ts'
import type { AttachmentKey, IpamOptions } from '../model/network.ts'
import type { Context } from './context.ts'

/** What the caller still knows; used only where no record says it. */
export interface DetachHint {
  /** CNI_NETNS, where given. */
  netns?: string
  ipam?: IpamOptions
}

/** Idempotent: succeeds when nothing is left to take away. */
export async function detach(
  key: AttachmentKey,
  _hint: DetachHint = {},
  _context: Context = {},
): Promise<void> {
  throw new TsnetError('internal', `cannot detach ${key.containerId} yet`)
}
