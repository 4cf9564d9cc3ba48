/**
 * Counters of a list, one for each entry of names, numbered in the order of the list. They are made with it: what was counted
 * stays when addresses time out.
 */

import { isOfNames, type Permission } from '../../model/address/reach.ts'
import { findCounter, listCounters } from '../../netfilter/list.ts'
import type { TableRef } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'

/** @param number of an entry among those of names, from 0 on */
export const counterName = (owner: string, number: number): string => `name${number}-${owner}`

/** Names of all counters of a list. */
export const counterNames = (owner: string, allow: readonly Permission[]): string[] =>
  allow.filter(isOfNames).map((_, i) => counterName(owner, i))

const NAME = /^name(\d+)-/

/** Which entry of names an element counts for: its number. */
export const numberIn = (name: string): number => Number(NAME.exec(name)?.[1] ?? Number.NaN)

/** So many are asked for one by one; of more, all of the table are listed. */
const FEW = 64

/** What an owner's counters counted, by their names. @throws NetlinkError */
export function countersOf(nl: Netlink, table: TableRef, owner: string): Map<string, number> {
  const found = new Map<string, number>()
  for (let i = 0; i < FEW; i++) {
    const name = counterName(owner, i)
    const packets = findCounter(nl, table, name)
    if (packets === undefined) return found
    found.set(name, packets)
  }
  return new Map([...listCounters(nl, table)].filter(([name]) => name.endsWith(`-${owner}`)))
}
