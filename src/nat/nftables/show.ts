/**
 * Our table as a page to read, where there is no nft to print it: the sets and maps with what the kernel has
 * in them, and the chains with the rules that were put there.
 */

import type { Family } from '../../model/address/address.ts'
import { listElements, listRules, listSets } from '../../netfilter/list.ts'
import { keyText } from '../../netfilter/set-types.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { base, subnetChains, TABLE, TABLE_REF, typesOfSet } from './base.ts'

/** Empty where there is no table of ours. Equivalent to: nft list table inet tsnet */
export function showTable(nl: Netlink): string {
  const sets = listSets(nl, { table: TABLE_REF }).map(({ name }) => name)
  const there = new Set(listRules(nl, { table: TABLE_REF }).map(({ chain }) => chain))
  const blocks = [
    ...sets.filter(name => !name.startsWith('__set')).flatMap(name => showSet(nl, name)),
    ...[...rulesOf(sets)]
      .filter(([chain]) => there.has(chain))
      .map(([chain, rules]) => block('chain', chain, rules)),
  ]
  return blocks.length === 0 ? '' : `table ${TABLE} {\n${blocks.join('\n')}}\n`
}

const block = (kind: string, name: string, lines: readonly string[]): string =>
  `  ${kind} ${name} {\n${lines.map(line => `    ${line}\n`).join('')}  }\n`

function showSet(nl: Netlink, name: string): string[] {
  const elements = listElements(nl, TABLE_REF, name)
  if (elements.length === 0) return []
  const { type, data } = typesOfSet(name)
  const lines = elements.map(element => {
    const value = element.verdict
      ? `jump ${element.verdict.chain}`
      : element.data && keyText(data ?? '', element.data)
    return `${keyText(type, element.key)}${value === undefined ? '' : ` : ${value}`}`
  })
  return [block(data === undefined ? 'set' : 'map', name, lines)]
}

/** The rules of each chain, of the subnets too for which there are sets. */
function rulesOf(sets: readonly string[]): Map<string, string[]> {
  const subnets = sets.flatMap(name => {
    const [, family, length] = /^near([46])_(\d+)$/.exec(name) ?? []
    return length === undefined ? [] : subnetChains(Number(family) as Family, Number(length))
  })
  const chains = new Map<string, string[]>()
  for (const line of [...base, ...subnets]) {
    const [, chain = '', rule] = /^add rule \S+ \S+ (\S+) (.*)$/.exec(line) ?? []
    if (rule === undefined) continue
    chains.set(chain, [...(chains.get(chain) ?? []), rule])
  }
  return chains
}
