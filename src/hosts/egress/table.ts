/**
 * A table of nf_tables for each network that leaves by a host of choice, whichever backend the host's other rules are of.
 *
 *     prerouting    -80, after destinations are translated     what leaves is marked
 *     postrouting    90, before anybody masquerades            the first who decides about a source has it
 *
 * Rules have a comment that stands for all of them, so one look tells whether they are these.
 */

import { TsnetError } from '../../model/errors.ts'
import { sha256 } from '../../model/sha256.ts'
import { compileRule } from '../../netfilter/language/language.ts'
import { listRules } from '../../netfilter/list.ts'
import { hasNfTables, missingNfTables, netfilterHere } from '../../netfilter/netfilter.ts'
import { type TableRef, Transaction } from '../../netfilter/transaction.ts'
import { type Texts, tableName } from './plan.ts'

const CHAINS = {
  prerouting: { type: 'filter', at: 'prerouting', priority: -80 },
  postrouting: { type: 'nat', at: 'postrouting', priority: 90 },
} as const
const NAMES = Object.keys(CHAINS) as (keyof Texts)[]

const tableOf = (network: string): TableRef => ({ family: 'inet', name: tableName(network) })
const commentOf = (texts: Texts): string => `tsnet ${sha256(JSON.stringify(texts)).slice(0, 16)}`

/** True where the table is as these texts have it. */
export function isTableThere(network: string, texts: Texts): boolean {
  const comment = commentOf(texts)
  return NAMES.every(chain => {
    const there = listRules(netfilterHere(), { table: tableOf(network), chain })
    return there.length === texts[chain].length && there.every(each => each.comment === comment)
  })
}

/** True where there is one of ours with anything in it. */
export const hasTable = (network: string): boolean =>
  hasNfTables() &&
  NAMES.some(chain => listRules(netfilterHere(), { table: tableOf(network), chain }).length > 0)

/** Makes the table what it is to be, where it is not, in one step. @throws TsnetError `kernel`, `missing` */
export function ensureTable(network: string, texts: Texts): void {
  if (!hasNfTables()) throw missingNfTables()
  if (isTableThere(network, texts)) return
  const table = tableOf(network)
  const tx = new Transaction().addTable(table).deleteTable(table).addTable(table)
  const comment = commentOf(texts)
  for (const chain of NAMES) {
    tx.addChain(table, { name: chain, hook: CHAINS[chain] })
    for (const text of texts[chain])
      tx.addRule(table, chain, compileRule('inet', `${text} comment "${comment}"`))
  }
  const denial = tx.commit(netfilterHere())
  if (denial !== undefined)
    throw new TsnetError(
      'kernel',
      `network ${network}: the rules of its way out were refused: ${denial.text}`,
    )
}

export function removeTable(network: string): void {
  const table = tableOf(network)
  if (hasTable(network)) new Transaction().addTable(table).deleteTable(table).commit(netfilterHere())
}
