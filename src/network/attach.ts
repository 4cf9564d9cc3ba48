/** Puts a container on a network. */

import { TsnetError } from '../model/errors.ts'
import type { Attachment, AttachRequest } from '../model/network.ts'
import type { Context } from './context.ts'

export async function attach(request: AttachRequest, _context: Context = {}): Promise<Attachment> {
  throw new TsnetError('internal', `cannot attach ${request.containerId} yet`)
}
