/**
 * Whether what all share in our table is as we made it: each chain where it belongs, with each of its rules in its place
 * and made of what it should be made of. What the kernel holds is compared with the very messages that would make it.
 */

import { consistently } from '../../netfilter/generations.ts'
import { findChain, type ListedChain, listRules, listTables } from '../../netfilter/list.ts'
import { type PlannedChain, plannedChains } from '../../netfilter/planned.ts'
import { isMadeOf } from '../../netfilter/same-rule.ts'
import { tableText } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import type { Rules } from '../rules.ts'
import { TABLE, TABLE_REF } from './base.ts'
import { type BasePart, baseMessages, basePartsOf } from './base-messages.ts'

/** What is not as it should be of what all share. */
export interface BrokenBase {
  /** In words, a sentence each. */
  what: string[]
  /** Chains at another place than theirs, or with another policy: to be right they have to be made anew. */
  misplaced: string[]
}

const read = new Map<BasePart, Map<string, PlannedChain>>()

function chainsOf(part: BasePart): Map<string, PlannedChain> {
  const found = read.get(part) ?? plannedChains(baseMessages(part).bytes)
  read.set(part, found)
  return found
}

/** @throws NetlinkError */
export function brokenBase(nl: Netlink, rules: Pick<Rules, 'families'>): BrokenBase {
  const wanted = basePartsOf(rules).flatMap(part => [...chainsOf(part).values()])
  return consistently(nl, () => {
    const table = listTables(nl, TABLE_REF).find(({ name }) => name === TABLE_REF.name)
    if (table === undefined) return { what: [`nftables: there is no table ${TABLE}`], misplaced: [] }
    const rulesThere = listRules(nl, { table: TABLE_REF })
    const what = table.isDormant ? [`nftables: table ${tableText(TABLE_REF)} is dormant`] : []
    const misplaced: string[] = []
    for (const { chain, rules } of wanted) {
      const found = findChain(nl, TABLE_REF, chain.name)
      const there = rulesThere.filter(rule => rule.chain === chain.name)
      const wrong = rules.findIndex((rule, i) => there[i] === undefined || !isMadeOf(nl, there[i], rule))
      if (found === undefined) what.push(`nftables: there is no chain ${chain.name}`)
      else if (!isPlacedAs(found, chain)) {
        what.push(`nftables: chain ${chain.name} is not where it should be, or drops by policy`)
        if (chain.hook !== undefined) misplaced.push(chain.name)
      } else if (there.length !== rules.length)
        what.push(`nftables: chain ${chain.name} has ${there.length} of ${rules.length} rules`)
      else if (wrong >= 0)
        what.push(`nftables: chain ${chain.name} has another rule ${wrong + 1} than it should`)
    }
    return { what, misplaced }
  })
}

const isPlacedAs = ({ hook, policy }: ListedChain, wanted: ListedChain): boolean =>
  hook?.type === wanted.hook?.type &&
  hook?.number === wanted.hook?.number &&
  hook?.priority === wanted.hook?.priority &&
  policy !== 'drop'
