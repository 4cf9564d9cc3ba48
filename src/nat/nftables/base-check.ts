/**
 * Whether what all share in our table is as we made it: each chain where it belongs, with each of its rules in its place
 * and made of what it should be made of. What the kernel holds is compared with the very messages that would make it.
 */

import { consistently } from '../../netfilter/generations.ts'
import { findChain, findTable, listRules } from '../../netfilter/list.ts'
import { type PlannedChain, plannedChains } from '../../netfilter/planned.ts'
import { type ChainFault, faultOf } from '../../netfilter/same-rule.ts'
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
    const table = findTable(nl, TABLE_REF)
    if (table === undefined) return { what: [`nftables: there is no table ${TABLE}`], misplaced: [] }
    const rulesThere = listRules(nl, { table: TABLE_REF })
    const what = table.isDormant ? [`nftables: table ${tableText(TABLE_REF)} is dormant`] : []
    const misplaced: string[] = []
    for (const planned of wanted) {
      const { name, hook } = planned.chain
      const fault = faultOf(nl, findChain(nl, TABLE_REF, name), rulesThere, planned)
      if (fault === undefined) continue
      what.push(`nftables: ${inWords(name, fault)}`)
      if (fault.fault === 'misplaced' && hook !== undefined) misplaced.push(name)
    }
    return { what, misplaced }
  })
}

function inWords(chain: string, fault: ChainFault): string {
  switch (fault.fault) {
    case 'absent':
      return `there is no chain ${chain}`
    case 'misplaced':
      return `chain ${chain} is not where it should be, or drops by policy`
    case 'count':
      return `chain ${chain} has ${fault.found} of ${fault.wanted} rules`
    case 'rule':
      return `chain ${chain} has another rule ${fault.number} than it should`
  }
}
