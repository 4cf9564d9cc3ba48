/** Environment variables that every front door reads alike. */

import { TsnetError } from './errors.ts'
import { shown } from './json/shown.ts'
import type { NatBackend } from './network.ts'

export const natBackends: readonly NatBackend[] = ['iptables', 'nftables']

/**
 * The firewall that TSNET_NAT forces; undefined where it is not set.
 * @throws TsnetError `invalid-environment` for any other value
 */
export function forcedBackend({
  TSNET_NAT: forced,
}: Record<string, string | undefined>): NatBackend | undefined {
  if (!forced) return undefined
  const backend = natBackends.find(known => known === forced)
  if (backend !== undefined) return backend
  throw new TsnetError(
    'invalid-environment',
    `TSNET_NAT: ${shown(forced)} is neither ${natBackends.join(' nor ')}`,
  )
}
