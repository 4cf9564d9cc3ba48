/**
 * Counters of a list, one for each entry of names, numbered in the order of the list. They are made with it: what was counted
 * stays when addresses time out.
 *
 * They are called by all names of the list, too. So whoever has an older list puts nothing into the maps of this one: there is
 * no such counter.
 */

import { createHash } from 'node:crypto'
import { isOfNames, type Permission, permissionText } from '../../model/address/reach.ts'
import { findCounter, listCounters } from '../../netfilter/list.ts'
import type { TableRef } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'

/** Which names a list has, in their order: 16 hex digits; undefined: none. */
export function digestOfNames(allow: readonly Permission[]): string | undefined {
  const named = allow.filter(isOfNames)
  if (named.length === 0) return undefined
  return createHash('sha256').update(named.map(permissionText).join()).digest('hex').slice(0, 16)
}

/** @param number of an entry among those of names, from 0 on */
export const counterName = (owner: string, digest: string, number: number): string =>
  `name${number}-${digest}-${owner}`

/** Names of all counters of a list. */
export function counterNames(owner: string, allow: readonly Permission[]): string[] {
  const digest = digestOfNames(allow)
  return digest === undefined ? [] : allow.filter(isOfNames).map((_, i) => counterName(owner, digest, i))
}

const NAME = /^name(\d+)-/

/** Which entry of names an element counts for: its number. */
export const numberIn = (name: string): number => Number(NAME.exec(name)?.[1] ?? Number.NaN)

/** So many are asked for one by one; of more, all of the table are listed. */
const FEW = 64

/**
 * What an owner's counters counted, by their names.
 * @param digest of its list; undefined: nobody knows
 * @throws NetlinkError
 */
export function countersOf(
  nl: Netlink,
  table: TableRef,
  owner: string,
  digest: string | undefined,
): Map<string, number> {
  const found = new Map<string, number>()
  for (let i = 0; digest !== undefined && i < FEW; i++) {
    const name = counterName(owner, digest, i)
    const packets = findCounter(nl, table, name)
    if (packets === undefined) return found
    found.set(name, packets)
  }
  return new Map([...listCounters(nl, table)].filter(([name]) => name.endsWith(`-${owner}`)))
}
