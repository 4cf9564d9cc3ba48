/**
 * What iptables-save would say where nothing of ours is left but empty chains, asked of the kernel: to start a command
 * takes ten milliseconds, and much longer on a busy host, while everything is open.
 */

import type { Family } from '../../model/address/address.ts'
import { consistently } from '../../netfilter/generations.ts'
import { listChains, usesOfChain } from '../../netfilter/list.ts'
import { hasNfTables, netfilterHere } from '../../netfilter/netfilter.ts'
import { header } from '../kernel-chains.ts'
import type { Listing } from './listing.ts'
import { iptablesVariant } from './run.ts'

const TABLES: readonly string[] = ['raw', 'mangle', 'filter', 'nat']

/**
 * Undefined where a rule of ours, or a jump to one of our chains, is there; and with the legacy variant, whose tables
 * only its commands can read. Rules of others are not in it.
 */
export function listingOfNothing(family: Family): Listing | undefined {
  if (!hasNfTables() || iptablesVariant(family) !== 'nft') return undefined
  const nl = netfilterHere()
  return consistently(nl, () => {
    const listing: Listing = {
      chains: new Map(),
      rules: new Map(),
      policies: new Map(),
      foreignForward: [],
    }
    for (const { table, name, policy } of listChains(nl, { family: header(family) })) {
      if (!TABLES.includes(table.name)) continue
      const own = listing.chains.get(table.name) ?? new Set()
      listing.chains.set(table.name, own)
      if (policy !== undefined) listing.policies.set(`${table.name} ${name}`, policy.toUpperCase())
      if (!name.startsWith('TSNET-')) continue
      if (usesOfChain(nl, table, name) > 0) return undefined
      own.add(name)
    }
    return listing
  })
}
