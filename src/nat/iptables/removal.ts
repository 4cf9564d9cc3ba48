/**
 * Deletes rules of the nft variant of iptables by handle, and the chains that are empty then, over nfnetlink.
 *
 * It is one transaction of all tables, which the kernel refuses where somebody deleted one of the rules before
 * (ENOENT), or put one into a chain that is to go (EBUSY): then it is looked again. A handle is never given twice,
 * so what is deleted is what was looked at.
 */

import type { Family } from '../../model/address/address.ts'
import { findChain, type ListedRule, targetOf } from '../../netfilter/list.ts'
import { denied, isBusy, isMissing } from '../../netfilter/refusal.ts'
import { Transaction } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { commentOf } from '../rules.ts'
import { wholeOf } from './buckets.ts'
import { type BaseChain, baseChains, isNeededBy, type Table, type TableName } from './document.ts'
import { commentIn, differing, lookAt, lookAtKnown, ourChains, refOf, TABLES, withText } from './handles.ts'
import { chainOf } from './listing.ts'

/** How often a deletion is tried again when others change the same chains. */
const ATTEMPTS = 40

export interface Removal {
  /** What was installed, in buckets: saves looking. */
  tables?: readonly Table[]
  /** What all share goes too, as far as nobody has rules in it. */
  last: boolean
  /** FORWARD is to accept by policy again. */
  accepts: boolean
}

/**
 * Deletes all that an owner has in a family.
 * @throws TsnetError `kernel`
 */
export function removeByHandle(nl: Netlink, family: Family, owner: string, removal: Removal): void {
  for (let attempt = 1; ; attempt++) {
    const denial = removalOf(nl, family, owner, removal, attempt > 1).commit(nl)
    if (denial === undefined) return
    const isOthers = isMissing(denial) || isBusy(denial)
    if (!isOthers || attempt === ATTEMPTS) throw denied(`removing ${commentOf(owner)}`, denial)
  }
}

/** @param isBusy somebody leads to a chain that is to go, who is looked for in the whole table */
function removalOf(nl: Netlink, family: Family, owner: string, removal: Removal, isBusy: boolean) {
  const { tables, last, accepts } = removal
  const known = last || tables === undefined ? undefined : lookAtKnown(nl, family, owner, tables)
  const looks = known ?? ourChains(nl, family).map(place => lookAt(nl, family, owner, place))
  const tx = new Transaction()
  const gone = new Set<bigint>()
  const kept = new Set<string>()
  const remove = (table: TableName, rules: readonly ListedRule[]) => {
    for (const { chain, handle } of rules.filter(rule => !gone.has(rule.handle))) {
      gone.add(handle)
      tx.deleteRule(refOf(family, table), chain, handle)
    }
  }
  for (const table of TABLES as TableName[]) {
    gone.clear()
    const inTable = looks.filter(look => look.table === table)
    for (const { own } of inTable) remove(table, own)
    const leaves = (chain: string, sources: readonly string[]) => {
      for (const source of isBusy ? [undefined] : sources) {
        const place = { table, ...(source !== undefined && { chain: source }) }
        remove(
          table,
          withText(nl, family, place, chain).found.filter(rule => targetOf(rule) === chain),
        )
      }
      tx.deleteChain(refOf(family, table), chain, { ifEmpty: true })
    }
    for (const { chain, own, others } of inTable) {
      const whole = wholeOf(chain)
      if (whole !== undefined && others === 0 && (last || own.length > 0)) leaves(chain, [whole])
    }
    if (!last) continue
    for (const { table: name, chain } of baseChains(family).toReversed()) {
      if (name !== table || !inTable.some(look => look.chain === chain.name)) continue
      const left = withText(nl, family, { table, chain: chain.name }, '').found.filter(
        ({ handle }) => !gone.has(handle),
      )
      if (!areShared(left, chain) || isNeededBy(chain, kept)) {
        kept.add(chain.name)
        continue
      }
      remove(table, left)
      leaves(chain.name, chain.jumps.map(chainOf))
    }
  }
  if (accepts && findChain(nl, refOf(family, 'filter'), 'FORWARD')?.policy === 'drop') {
    tx.setPolicy(refOf(family, 'filter'), 'FORWARD', 'accept')
  }
  return tx
}

/** True for no more than what all share at the beginning of a chain, which two who repair it at once may have added twice. */
const areShared = (left: readonly ListedRule[], { rules }: BaseChain): boolean =>
  differing(left) <= rules.length &&
  left.every(
    rule =>
      commentIn(rule) === undefined && rule.comment === undefined && !targetOf(rule)?.startsWith('TSNET-'),
  )
