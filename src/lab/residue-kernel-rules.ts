/**
 * Rules of nf_tables line by line, as the kernel has them: for machines without nft. Two of these listings
 * differ where the rule sets do; people read the other one.
 */

import { listChains, listElements, listRules, listSets, listTables } from '../netfilter/list.ts'
import { netfilterHere } from '../netfilter/netfilter.ts'
import { tableText } from '../netfilter/transaction.ts'

/** In the namespace that the thread is in. */
export function kernelRules(): string[] {
  const nl = netfilterHere()
  const lines: string[] = []
  const add = (...words: unknown[]) =>
    lines.push(words.map(word => (typeof word === 'string' ? word : JSON.stringify(word, plain))).join(' '))
  for (const table of listTables(nl)) add('table', tableText(table))
  for (const { table, name, hook, policy } of listChains(nl)) {
    add('table', tableText(table), 'chain', name, ...(hook === undefined ? [] : [hook, policy]))
  }
  for (const { table, chain, expressions, comment = '' } of listRules(nl)) {
    const words = expressions.filter(({ name }) => name !== 'counter')
    add('table', tableText(table), 'chain', chain, words, comment)
  }
  for (const { table, name } of listSets(nl)) {
    for (const element of listElements(nl, table, name)) add('table', tableText(table), 'set', name, element)
  }
  return lines
}

function plain(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return typeof value === 'bigint' ? String(value) : value
}
