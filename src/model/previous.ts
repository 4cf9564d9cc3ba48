/** The result that the caller remembers, of this plugin and of those around it. */

import type { Cidr, Ip } from './address/address.ts'
import type { Route } from './network.ts'

export interface Previous {
  interfaces: { name: string; mac?: string; mtu?: number; sandbox?: string }[]
  ips: { address: Cidr; gateway?: Ip; interface?: number }[]
  routes: Route[]
  /** The result as it came, for a delegated IPAM plugin. */
  raw?: Record<string, unknown>
}
