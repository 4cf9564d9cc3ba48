/** Compares an attachment with what the kernel and the files hold. */

import type { Cidr, Ip } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import type { AttachRequest, Route } from '../model/network.ts'
import type { Context } from './context.ts'

/** The result that the caller remembers, of this plugin and of those around it. */
export interface Previous {
  interfaces: { name: string; mac?: string; sandbox?: string }[]
  ips: { address: Cidr; gateway?: Ip; interface?: number }[]
  routes: Route[]
}

/** @throws TsnetError `mismatch` naming everything that is not as it was made */
export async function check(
  request: AttachRequest,
  _previous: Previous,
  _context: Context = {},
): Promise<void> {
  throw new TsnetError('internal', `cannot check ${request.containerId} yet`)
}
