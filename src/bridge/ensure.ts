/** The bridge itself. */

import type { Cidr } from '../model/address.ts'

/** What we changed on a bridge that is not ours, and give back when its last container goes. */
export interface BridgeLoan {
  addresses: Cidr[]
  promiscuous: boolean
  /** Settings with the values they had. */
  settings: { name: string; value: string }[]
}
