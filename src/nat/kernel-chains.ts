/**
 * Chains that iptables keeps in nftables, asked for over nfnetlink: a command would take ten milliseconds, and
 * nft would read their whole table first.
 *
 * The legacy variant keeps its tables elsewhere. Where it has any, only its command knows what is in them.
 *
 * Source: linux/netfilter/nf_tables.h (enum nft_chain_attributes, nft_rule_attributes, nft_verdict_attributes).
 */

import { readFileSync } from 'node:fs'
import type { Family } from '../model/address.ts'
import { hasCode } from '../model/errors.ts'
import { attributes, encodeAttribute, payload } from '../netlink/attributes.ts'
import { addressFamily, be32, binary, struct, u8, zstr } from '../netlink/codecs.ts'
import { NF_DROP, NFT_MSG_GETCHAIN, NFT_MSG_GETRULE } from '../netlink/constants.ts'
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

const ruleMessage = payload(
  struct(4, { family: [0, u8] }), // struct nfgenmsg
  attributes({
    table: [1, zstr],
    chain: [2, zstr],
    expressions: [4, binary],
  }),
)

const NFTA_VERDICT_CHAIN = 2

/** True where a chain is there and has a rule that leads to another. Equivalent to: nft list chain ip filter NAME */
export function leadsTo({ family, table, name }: KernelChain, target: string): boolean {
  const verdict = Buffer.from(encodeAttribute(NFTA_VERDICT_CHAIN, zstr.encode(target)))
  const rules = netfilterHere().dump({
    equivalent: `nft list chain ${header(family)} ${table} ${name}`,
    type: NFT_MSG_GETRULE,
    payload: [
      ruleMessage.encode({
        header: { family: addressFamily(family) },
        attributes: { table, chain: name },
      }),
    ],
  })
  return rules.some(({ payload }) => {
    const { expressions = new Uint8Array() } = ruleMessage.decode(payload).attributes
    return Buffer.from(expressions).includes(verdict)
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
