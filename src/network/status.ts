/** Says whether the next attach could succeed. */

import { TsnetError } from '../model/errors.ts'
import type { Network } from '../model/network.ts'

/** @throws TsnetError naming what is missing or exhausted */
export async function status(network: Network): Promise<void> {
  throw new TsnetError('internal', `cannot tell the status of ${network.name} yet`)
}
