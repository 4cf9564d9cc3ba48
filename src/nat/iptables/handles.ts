/**
 * What the nft variant of iptables keeps, looked at over nfnetlink.
 *
 *     known     the buckets in which an owner's rules are: a few requests, however full the host is
 *     unknown   all our chains, where not all is in them: an earlier build had no buckets, and others restore
 *               tables as they like
 *
 * A rule is an owner's by its comment, which iptables keeps in a match of xtables. Chains are read unparsed, and
 * only those rules parsed in whose bytes the tag stands.
 */

import { isDeepStrictEqual } from 'node:util'
import type { Family } from '../../model/address/address.ts'
import { counter, verdict } from '../../netfilter/expressions.ts'
import {
  findChain,
  type ListedRule,
  listChains,
  readRule,
  rulesAsBytes,
  targetOf,
  usesOfChain,
} from '../../netfilter/list.ts'
import { hasNfTables } from '../../netfilter/netfilter.ts'
import { type TableRef, Transaction } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { hasLegacyTables, header } from '../kernel-chains.ts'
import { commentOf } from '../rules.ts'
import { bucketsOf, wholeOf } from './buckets.ts'
import type { BaseChain, Table, TableName } from './document.ts'
import { chainOf } from './listing.ts'
import { iptablesVariant } from './run.ts'

/** True where all that the command of iptables knows is in nf_tables. */
export const isByHandle = (family: Family): boolean =>
  !hasLegacyTables(family) && iptablesVariant(family) === 'nft' && hasNfTables()

interface Place {
  table: TableName
  chain: string
}

/** What an owner has in a chain, and how many rules others have there. */
interface Look extends Place {
  own: ListedRule[]
  others: number
}

export const refOf = (family: Family, table: TableName): TableRef => ({ family: header(family), name: table })

/** The text of a rule's comment, as iptables keeps it: a match with 256 bytes. */
export const commentIn = ({ expressions }: ListedRule): string | undefined => {
  const info = expressions.find(({ match }) => match?.name === 'comment')?.match?.info
  return info && Buffer.from(info).toString('latin1').split('\0', 1)[0]
}

const bufferOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer as ArrayBuffer, byteOffset, length)

/** Rules of a chain, or of a whole table, that have a text in them. */
export function withText(
  nl: Netlink,
  family: Family,
  place: { table: TableName; chain?: string },
  text: string,
) {
  const { table, chain } = place
  const all = rulesAsBytes(nl, { table: refOf(family, table), ...(chain !== undefined && { chain }) })
  const found = all.filter(bytes => bufferOf(bytes).includes(text)).flatMap(bytes => readRule(bytes) ?? [])
  return { found, count: all.length }
}

export function lookAt(nl: Netlink, family: Family, owner: string, place: Place): Look {
  const { found, count } = withText(nl, family, place, commentOf(owner))
  const own = found.filter(rule => commentIn(rule) === commentOf(owner))
  return { ...place, own, others: count - own.length }
}

export const TABLES: readonly string[] = ['nat', 'filter', 'mangle', 'raw'] satisfies TableName[]

/** All our chains, in the order in which they are emptied. */
export function ourChains(nl: Netlink, family: Family): Place[] {
  const chains = listChains(nl, { family: header(family) }).filter(
    ({ table, name }) => TABLES.includes(table.name) && name.startsWith('TSNET-'),
  )
  return TABLES.flatMap(table =>
    chains
      .filter(chain => chain.table.name === table)
      .map(({ name }) => ({ table: table as TableName, chain: name })),
  )
}

const bucketPlaces = (tables: readonly Table[]): Place[] =>
  tables.flatMap(table => bucketsOf(table).map(({ name }) => ({ table: table.name, chain: name })))

const ruleCount = (tables: readonly Table[]): number =>
  tables.reduce((sum, { rules }) => sum + rules.length, 0)

/** What an owner has in the buckets of its tables; undefined where that is not as much as it should be. */
export function lookAtKnown(
  nl: Netlink,
  family: Family,
  owner: string,
  tables: readonly Table[],
): Look[] | undefined {
  const looks = bucketPlaces(tables).map(place => lookAt(nl, family, owner, place))
  return looks.reduce((sum, { own }) => sum + own.length, 0) === ruleCount(tables) ? looks : undefined
}

/** True where an owner has as many rules in the buckets of its tables as it should, and all of them are led to. */
export function isCountRight(nl: Netlink, family: Family, owner: string, tables: readonly Table[]): boolean {
  const looks = lookAtKnown(nl, family, owner, tables)
  return (
    looks?.every(
      ({ table, chain, own, others }) => usesOfChain(nl, refOf(family, table), chain) > own.length + others,
    ) ?? false
  )
}

/** The chains that tables share. */
const sharedChains = (tables: readonly Table[]): (BaseChain & { table: TableName })[] =>
  tables.flatMap(({ name: table, chains }) =>
    chains.filter(({ name }) => wholeOf(name) === undefined).map(chain => ({ ...chain, table })),
  )

/**
 * True where the chains that tables share are led to, on the same conditions: of jumps that differ in nothing but the
 * protocol there are as many. iptables itself would read the names of all buckets for each of them.
 */
export const areJumpedTo = (nl: Netlink, family: Family, tables: readonly Table[]): boolean =>
  sharedChains(tables).every(({ table, name: target, jumps }) =>
    jumps.every(jump => {
      const matches = matchesIn(jump).join()
      const found = withText(nl, family, { table, chain: chainOf(jump) }, target).found.filter(
        rule => targetOf(rule) === target && matchesOf(rule).join() === matches,
      )
      const alike = jumps.filter(
        other => chainOf(other) === chainOf(jump) && matchesIn(other).join() === matches,
      )
      return differing(found) >= alike.length
    }),
  )

/** As areJumpedTo; and the chains begin with what all share. */
export const areLedTo = (nl: Netlink, family: Family, tables: readonly Table[]): boolean =>
  areJumpedTo(nl, family, tables) &&
  sharedChains(tables).every(
    ({ table, name, rules }) => rules.length === 0 || sharedCount(nl, family, table, name) >= rules.length,
  )

/** How many rules these are, each counted once. */
export function differing(rules: readonly ListedRule[]): number {
  // What they have counted is theirs.
  const all = rules.map(({ expressions, compat }) => [
    compat,
    expressions.map(({ counter: _, ...match }) => match),
  ])
  return all.filter((rule, i) => !all.slice(0, i).some(other => isDeepStrictEqual(other, rule))).length
}

/** Names of a rule's matches: `addrtype`, `conntrack`. */
const matchesOf = ({ expressions }: ListedRule): string[] =>
  expressions.flatMap(({ match }) => match?.name ?? [])
const matchesIn = (rule: string): string[] => [...rule.matchAll(/ -m (\w+)/g)].map(([, name = '']) => name)

/** How many rules of a chain lead to no bucket of it. */
const sharedCount = (nl: Netlink, family: Family, table: TableName, chain: string): number => {
  const toBucket = `${chain}-`
  const all = rulesAsBytes(nl, { table: refOf(family, table), chain })
  return all.filter(bytes => !bufferOf(bytes).includes(toBucket)).length
}

/** Makes the buckets of tables, each with what leads to it, as far as the chain is there that it is a part of. */
export function makeBuckets(nl: Netlink, family: Family, tables: readonly Table[]): void {
  const tx = new Transaction()
  for (const table of tables) {
    const ref = refOf(family, table.name)
    for (const { name } of bucketsOf(table)) {
      const whole = wholeOf(name) ?? ''
      if (findChain(nl, ref, name) !== undefined || findChain(nl, ref, whole) === undefined) continue
      tx.addChain(ref, { name }, { isNew: true }).addRule(ref, whole, {
        expressions: [counter, verdict('jump', name)],
      })
    }
  }
  // Whoever is refused finds out what there is when the rules are added.
  tx.commit(nl)
}

/** Everyone who has rules of a family. */
export function ownersByHandle(nl: Netlink, family: Family): string[] {
  const found = new Set<string>()
  for (const { table, chain } of ourChains(nl, family)) {
    for (const bytes of rulesAsBytes(nl, { table: refOf(family, table), chain })) {
      const owner = /tsnet:([0-9a-f]{16})\0/.exec(bufferOf(bytes).toString('latin1'))?.[1]
      if (owner === undefined || found.has(owner)) continue
      const rule = readRule(bytes)
      if (rule !== undefined && commentIn(rule) === commentOf(owner)) found.add(owner)
    }
  }
  return [...found]
}
