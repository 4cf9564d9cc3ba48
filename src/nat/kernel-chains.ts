/**
 * Chains that iptables keeps in nftables, asked for over nfnetlink: a command would take ten milliseconds, and
 * nft would read their whole table first.
 *
 * The legacy variant keeps its tables elsewhere. Where it has any, only its command knows what is in them.
 *
 * Source: linux/netfilter/nf_tables.h (enum nft_chain_attributes).
 */

import { readFileSync } from 'node:fs'
import type { Family } from '../model/address.ts'
import { hasCode } from '../model/errors.ts'
import { attributes, payload } from '../netlink/attributes.ts'
import { addressFamily, be32, struct, u8, zstr } from '../netlink/codecs.ts'
import { NF_DROP, NFT_MSG_GETCHAIN } from '../netlink/constants.ts'
import { netfilterHere } from './here.ts'

const chainMessage = payload(
  struct(4, { family: [0, u8] }), // struct nfgenmsg
  attributes({
    table: [1, zstr],
    name: [3, zstr],
    policy: [5, be32],
  }),
)

export interface KernelChain {
  family: Family
  table: string
  name: string
}

/** `ip` or `ip6`, as nft calls the family of a table. */
export const header = (family: Family): string => (family === 4 ? 'ip' : 'ip6')

/** Which of these chains are there, and whether they drop by policy. Equivalent to: nft list chain ip filter NAME */
export function findChains(wanted: readonly KernelChain[]): ({ drops: boolean } | undefined)[] {
  const nl = netfilterHere()
  return wanted.map(({ family, table, name }) => {
    try {
      const { payload } = nl.get({
        equivalent: `nft list chain ${header(family)} ${table} ${name}`,
        type: NFT_MSG_GETCHAIN,
        payload: [
          chainMessage.encode({
            header: { family: addressFamily(family) },
            attributes: { table, name },
          }),
        ],
      })
      // Only base chains have a policy.
      return { drops: chainMessage.decode(payload).attributes.policy === NF_DROP }
    } catch (thrown) {
      if (hasCode(thrown, 'ENOENT')) return undefined
      throw thrown
    }
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
