/**
 * Who is no host of the network tunnels nothing into it.
 *
 *     udp dport 4789, the network's number, from an address that is not in the set of hosts: dropped
 *
 * A table of nf_tables for each network, whichever backend the host's other rules are of: what one table drops no other
 * lets through. Fragments are put together before, so nobody hides the number in a second one.
 */

import { familyOf, type Ip } from '../../model/address/address.ts'
import { hasCode, TsnetError } from '../../model/errors.ts'
import { compileRule } from '../../netfilter/language/language.ts'
import { listElements, listRules } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { keyBytes, keyText } from '../../netfilter/set-types.ts'
import { type TableRef, Transaction } from '../../netfilter/transaction.ts'

export interface Guarded {
  /** The device, after which the table is called. */
  device: string
  port: number
  identifier: number
  /** Of the addresses by which hosts are reached. */
  family: 4 | 6
}

const SET = 'hosts'
const CHAIN = 'input'
/** Before anybody accepts. */
const PRIORITY = -300

const tableOf = ({ device }: Guarded): TableRef => ({ family: 'inet', name: `tsnet-${device}` })
const typeOf = ({ family }: Guarded): string => (family === 4 ? 'ipv4_addr' : 'ipv6_addr')
const elementOf = (guarded: Guarded, ip: Ip) => ({ key: keyBytes(typeOf(guarded), ip) })

const ruleText = ({ port, identifier, family }: Guarded): string => {
  const number = `0x${identifier.toString(16).padStart(6, '0')}`
  return `udp dport ${port} @th,96,24 ${number} ${family === 4 ? 'ip' : 'ip6'} saddr != @${SET} drop`
}

/** Makes the guard what it is to be, where it is not. @throws TsnetError `kernel`, `missing` */
export function ensureGuard(guarded: Guarded, hosts: readonly Ip[]): void {
  const wanted = hosts.filter(ip => familyOf(ip) === guarded.family)
  const there = addressesThere(guarded)
  if (there === undefined) {
    makeGuard(guarded, wanted)
    return
  }
  const known = new Set<string>(wanted)
  const come = wanted.filter(ip => !there.has(ip))
  const go = [...there].filter(ip => !known.has(ip)) as Ip[]
  if (!changeGuard(guarded, come, go)) makeGuard(guarded, wanted)
}

function makeGuard(guarded: Guarded, hosts: readonly Ip[]): void {
  const table = tableOf(guarded)
  const denial = new Transaction()
    .addTable(table)
    .deleteTable(table)
    .addTable(table)
    .addSet(table, { name: SET, type: typeOf(guarded) })
    .addElements(
      table,
      SET,
      [...new Set(hosts)].map(ip => elementOf(guarded, ip)),
    )
    .addChain(table, { name: CHAIN, hook: { type: 'filter', at: 'input', priority: PRIORITY } })
    .addRule(table, CHAIN, compileRule('inet', ruleText(guarded)))
    .commit(netfilterHere())
  if (denial !== undefined) {
    throw new TsnetError(
      'kernel',
      `network of hosts: the guard of ${guarded.device} was refused: ${denial.text}`,
    )
  }
}

/** @returns false where what was there is not as it was known: nothing is changed */
export function changeGuard(guarded: Guarded, come: readonly Ip[], go: readonly Ip[]): boolean {
  const table = tableOf(guarded)
  const tx = new Transaction()
  const ours = (ips: readonly Ip[]) =>
    ips.filter(ip => familyOf(ip) === guarded.family).map(ip => elementOf(guarded, ip))
  if (come.length > 0) tx.addElements(table, SET, ours(come))
  if (go.length > 0) tx.deleteElements(table, SET, ours(go))
  return tx.commit(netfilterHere()) === undefined
}

export function removeGuard(guarded: Guarded): void {
  const table = tableOf(guarded)
  new Transaction().addTable(table).deleteTable(table).commit(netfilterHere())
}

/** undefined: it is not as we made it. */
function addressesThere(guarded: Guarded): Set<string> | undefined {
  try {
    const nl = netfilterHere()
    const table = tableOf(guarded)
    if (listRules(nl, { table, chain: CHAIN }).length !== 1) return undefined
    return new Set(listElements(nl, table, SET).map(({ key }) => keyText(typeOf(guarded), key)))
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT')) return undefined
    throw thrown
  }
}
