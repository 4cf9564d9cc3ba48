/**
 * Chains that iptables keeps in nftables, asked for over nfnetlink: a command would take ten milliseconds, and
 * nft would read their whole table first.
 *
 * The legacy variant keeps its tables elsewhere. Where it has any, only its command knows what is in them.
 */

import { readFileSync } from 'node:fs'
import type { Family } from '../model/address/address.ts'
import { hasCode } from '../model/errors.ts'
import { findChain } from '../netfilter/list.ts'
import { hasNfTables, netfilterHere } from '../netfilter/netfilter.ts'
import type { TableRef } from '../netfilter/transaction.ts'

export interface KernelChain {
  family: Family
  table: string
  name: string
}

/** `ip` or `ip6`, as nft calls the family of a table. */
export const header = (family: Family): 'ip' | 'ip6' => (family === 4 ? 'ip' : 'ip6')

const tableOf = ({ family, table }: KernelChain): TableRef => ({ family: header(family), name: table })

/** Which of these chains are there, and whether they drop by policy. */
export function findChains(wanted: readonly KernelChain[]): ({ drops: boolean } | undefined)[] {
  if (!hasNfTables()) return wanted.map(() => undefined)
  const nl = netfilterHere()
  return wanted.map(chain => {
    const found = findChain(nl, tableOf(chain), chain.name)
    return found && { drops: found.policy === 'drop' }
  })
}

/** True where the legacy variant of iptables has tables in this namespace. */
export function hasLegacyTables(family: Family): boolean {
  try {
    // Not /proc/net, which is the namespace of another thread.
    return readFileSync(`/proc/thread-self/net/${header(family)}_tables_names`, 'utf8') !== ''
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return false
    throw thrown
  }
}
