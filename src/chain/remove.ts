/** A network that was made here goes, and with it whoever is on it, by running its list. */

import type { Known } from '../networks/known.ts'
import type { NetworkInfo } from '../networks/look.ts'
import type { Host } from '../networks/places.ts'
import { removeNetwork } from '../networks/remove.ts'
import { leaveKnown } from './leave.ts'

/** @param options as those of `removeNetwork`; absent: nobody who is there is taken off @throws as it does */
export const removeWithMembers = (
  network: NetworkInfo,
  host: Host,
  { force = false, isDry = false }: { force?: boolean; isDry?: boolean } = {},
): Promise<Known[]> =>
  removeNetwork(network, host, { force, isDry, takeOff: known => leaveKnown(known, host) })
