/**
 * The guard against forwarding of others, and whether there are others.
 */

import type { Family } from '../model/address.ts'
import type { NatBackend } from '../model/network.ts'
import { findIptables, listRules } from './ipt-run.ts'
import { setForwardPolicy } from './iptables.ts'
import { findChains, hasLegacyTables } from './kernel-chains.ts'
import { baseDocument, TABLE } from './nft-base.ts'
import { listedChains, listedRules } from './nft-listing.ts'
import { findNft, isMissing, nftError, runNft } from './nft-run.ts'
import { deleteUnusedTable } from './nftables.ts'

const element = (family: Family): string => `ipv${family}`

/** False where unrelated packets are dropped already. */
export async function needsForwardGuard(backend: NatBackend, family: Family): Promise<boolean> {
  if (backend === 'nftables') return true
  if (hasLegacyTables(family)) return (await listRules(family)).policies.get('filter FORWARD') !== 'DROP'
  return !findChains([{ family, table: 'filter', name: 'FORWARD' }])[0]?.drops
}

/** Equivalent to: iptables -P FORWARD DROP */
export async function openForwardGuard(backend: NatBackend, family: Family): Promise<void> {
  if (backend === 'iptables') return setForwardPolicy(family, 'DROP')
  const add = `add element ${TABLE} closed { ${element(family)} : jump unrelated }`
  const result = await runNft([...baseDocument({ families: [] }), add])
  if (!result.ok) throw nftError('closing the host to forwarding of others', result)
}

/** Idempotent. Equivalent to: iptables -P FORWARD ACCEPT */
export async function closeForwardGuard(backend: NatBackend, family: Family): Promise<void> {
  if (backend === 'iptables') {
    if (!(await needsForwardGuard(backend, family))) await setForwardPolicy(family, 'ACCEPT')
    return
  }
  const result = await runNft([`delete element ${TABLE} closed { ${element(family)} }`])
  if (!result.ok && !isMissing(result)) throw nftError('opening the host to forwarding of others', result)
  await deleteUnusedTable()
}

/** True when somebody else has rules about forwarded packets of this family. */
export async function isForwardingOfOthers(family: Family): Promise<boolean> {
  // What the other variant of iptables has, nft lists as well, and a command takes longer.
  const nft = findNft() !== undefined
  const isCommand = findIptables(family) !== undefined && (!nft || hasLegacyTables(family))
  if (isCommand && (await listRules(family)).foreignForward.length > 0) return true
  return nft && (await hasForeignForwardChain(family))
}

async function hasForeignForwardChain(family: Family): Promise<boolean> {
  const header = family === 4 ? 'ip' : 'ip6'
  const chains = await runNft(['list chains'], { json: true })
  if (!chains.ok) throw nftError('listing chains', chains)
  const foreign = listedChains(chains).filter(
    ({ family, hook, table }) => hook === 'forward' && [header, 'inet'].includes(family) && table !== 'tsnet',
  )
  for (const { family, table, name } of foreign) {
    const listing = await runNft([`list chain ${family} "${table}" "${name}"`], { json: true })
    if (listedRules(listing).some(({ target }) => !target?.startsWith('TSNET-'))) return true
  }
  return false
}
