/**
 * The guard against forwarding of others, and whether there are others.
 */

import type { Family } from '../model/address/address.ts'
import type { NatBackend } from '../model/network.ts'
import { listBaseChains, listRules as listNftRules, targetOf } from '../netfilter/list.ts'
import { hasNfTables, netfilterHere } from '../netfilter/netfilter.ts'
import { denied, isMissing } from '../netfilter/refusal.ts'
import { Transaction } from '../netfilter/transaction.ts'
import { setForwardPolicy } from './iptables/iptables.ts'
import { findIptables, listRules } from './iptables/run.ts'
import { findChains, hasLegacyTables, header } from './kernel-chains.ts'
import { addBase } from './nftables/base-messages.ts'
import { closing } from './nftables/document.ts'
import { absentElements, addElements, deleteElements } from './nftables/elements.ts'
import { deleteUnusedTable } from './nftables/nftables.ts'

/** False where unrelated packets are dropped already. */
export async function needsForwardGuard(backend: NatBackend, family: Family): Promise<boolean> {
  if (backend === 'nftables') return true
  if (hasLegacyTables(family)) return (await listRules(family)).policies.get('filter FORWARD') !== 'DROP'
  return !findChains([{ family, table: 'filter', name: 'FORWARD' }])[0]?.drops
}

/** True while what openForwardGuard made is there. */
export async function isForwardGuarded(backend: NatBackend, family: Family): Promise<boolean> {
  if (backend === 'iptables') return !(await needsForwardGuard(backend, family))
  return absentElements(netfilterHere(), [closing(family)], undefined).length === 0
}

/** Equivalent to: iptables -P FORWARD DROP */
export async function openForwardGuard(backend: NatBackend, family: Family): Promise<void> {
  if (backend === 'iptables') return setForwardPolicy(family, 'DROP')
  const tx = addElements(addBase(new Transaction(), { families: [] }), [closing(family)])
  const denial = tx.commit(netfilterHere())
  if (denial !== undefined) throw denied('closing the host to forwarding of others', denial)
}

/** Idempotent. Equivalent to: iptables -P FORWARD ACCEPT */
export async function closeForwardGuard(backend: NatBackend, family: Family): Promise<void> {
  if (backend === 'iptables') {
    if (!(await needsForwardGuard(backend, family))) await setForwardPolicy(family, 'ACCEPT')
    return
  }
  const denial = deleteElements(new Transaction(), [closing(family)]).commit(netfilterHere())
  if (denial !== undefined && !isMissing(denial))
    throw denied('opening the host to forwarding of others', denial)
  deleteUnusedTable()
}

/** True when somebody else has rules about forwarded packets of this family. */
export async function isForwardingOfOthers(family: Family): Promise<boolean> {
  // What the other variant of iptables has is in nf_tables as well, and a command takes longer.
  const isNft = hasNfTables()
  const isCommand = findIptables(family) !== undefined && (!isNft || hasLegacyTables(family))
  if (isCommand && (await listRules(family)).foreignForward.length > 0) return true
  return isNft && hasForeignForwardChain(family)
}

function hasForeignForwardChain(family: Family): boolean {
  const nl = netfilterHere()
  const chains = listBaseChains(nl, [header(family), 'inet'], ({ name }) => name !== 'tsnet')
  const foreign = chains.filter(({ hook }) => hook?.at === 'forward')
  return foreign.some(({ table, name }) =>
    listNftRules(nl, { table, chain: name }).some(rule => !targetOf(rule)?.startsWith('TSNET-')),
  )
}
