/**
 * What iptables-save says is there, as far as it is ours, and what follows from it.
 */

import type { Family } from '../../model/address/address.ts'
import { flatRule, intoBuckets, wholeOf } from './buckets.ts'
import {
  type BaseChain,
  baseChains,
  isNeededBy,
  isPortRule,
  jumpLine,
  restoreFile,
  type Table,
  type TableName,
} from './document.ts'

/** Our part of a family's rules. */
export interface Listing {
  /** Names of our chains, by table. */
  chains: Map<string, Set<string>>
  /** Rules of our chains and jumps to them, in order, by table; without their `-A`. */
  rules: Map<string, string[]>
  /** Policies of the built-in chains, `filter FORWARD` → `DROP`. */
  policies: Map<string, string>
  /** Rules of filter FORWARD that are not ours. */
  foreignForward: string[]
}

const isOurs = (chain: string): boolean => chain.startsWith('TSNET-')

export const targetOf = (rule: string): string => / -[jg] (\S+)/.exec(rule)?.[1] ?? ''

export const chainOf = (rule: string): string => rule.slice(0, rule.indexOf(' '))

/** Reads what iptables-save prints. */
export function readListing(text: string): Listing {
  const listing: Listing = { chains: new Map(), rules: new Map(), policies: new Map(), foreignForward: [] }
  let table = ''
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      table = line.slice(1)
      listing.chains.set(table, new Set())
      listing.rules.set(table, [])
    } else if (line.startsWith(':')) {
      const [name = '', policy = ''] = line.slice(1).split(' ')
      if (isOurs(name)) listing.chains.get(table)?.add(name)
      else listing.policies.set(`${table} ${name}`, policy)
    } else if (line.startsWith('-A ')) {
      const rule = line.slice(3)
      if (isOurs(chainOf(rule)) || isOurs(targetOf(rule))) listing.rules.get(table)?.push(rule)
      else if (table === 'filter' && chainOf(rule) === 'FORWARD') listing.foreignForward.push(rule)
    }
  }
  return listing
}

/** The owner tag in a rule's comment, or undefined. */
export const ownerOf = (rule: string): string | undefined => /"?\btsnet:([0-9a-f]{16})\b/.exec(rule)?.[1]

const rulesOf = (listing: Listing, table: TableName): string[] => listing.rules.get(table) ?? []

export const ownersIn = (listing: Listing): string[] => [
  ...new Set([...listing.rules.values()].flat().flatMap(rule => ownerOf(rule) ?? [])),
]

/**
 * What adds to a listing all that is missing of an attachment's tables. A table in which the owner has
 * rules has all of them, since each table changes as a whole.
 * @returns empty when nothing is missing
 */
export const completion = (tables: Table[], listing: Listing, owner: string): string =>
  restoreFile(
    tables.map(({ name, chains, rules, policy }) => {
      const there = rulesOf(listing, name)
      const isSet = policy === undefined || listing.policies.get(`${name} FORWARD`) === policy
      return {
        name,
        lines: [
          ...(isSet ? [] : [`-P FORWARD ${policy}`]),
          ...chains.flatMap(chain => chainCompletion(chain, listing.chains.get(name), there)),
          ...(there.some(rule => ownerOf(rule) === owner) ? [] : rules.map(rule => `-A ${rule}`)),
        ],
      }
    }),
  )

/** What adds a chain, as far as it is lacking. */
export function chainCompletion(
  chain: BaseChain,
  chains: ReadonlySet<string> | undefined,
  there: readonly string[],
): string[] {
  const fresh = !chains?.has(chain.name)
  return [
    ...(fresh ? [`-N ${chain.name}`] : []),
    ...chain.jumps.map(jump => (there.includes(jump) ? `-C ${jump}` : jumpLine(jump))),
    // Into a chain that was emptied the shared rules go back in front of the others.
    ...chain.rules
      .filter(rule => !there.includes(rule))
      .toReversed()
      .map(rule => `-I ${rule}`),
  ]
}

/** What puts the guard of published ports back, which somebody took along who saw none; empty where all is well. */
export function guardCompletion(family: Family, listing: Listing): string {
  const kept = listing.chains.get('nat') ?? new Set()
  const guards = baseChains(family).filter(
    ({ table, chain }) => isNeededBy(chain, kept) && !listing.chains.get(table)?.has(chain.name),
  )
  return restoreFile(
    guards.map(({ table, chain }) => ({
      name: table,
      lines: chainCompletion(chain, listing.chains.get(table), rulesOf(listing, table)),
    })),
  )
}

/** Jumps that stand more than once, after two processes repaired the same loss at the same time. */
export const repeatedJumps = (tables: Table[], listing: Listing): { name: TableName; jump: string }[] =>
  tables.flatMap(({ name, chains }) =>
    chains
      .flatMap(chain => chain.jumps)
      .filter(jump => rulesOf(listing, name).filter(rule => rule === jump).length > 1)
      .map(jump => ({ name, jump })),
  )

/** Deletes one of several equal rules, and does nothing where there is but one. */
export const oneLess = ({ name, jump }: { name: TableName; jump: string }): string =>
  restoreFile([{ name, lines: [`-D ${jump}`, `-C ${jump}`] }])

/**
 * What removes an owner's rules; with `unused` also our chains that nobody else needs.
 * @returns empty when there is nothing to remove
 */
export function removal(family: Family, listing: Listing, owner: string, unused: boolean): string {
  const bases = baseChains(family).toReversed()
  const tables = [...new Set(bases.map(({ table }) => table))]
  const kept = new Set<string>()
  return restoreFile(
    tables.map(name => {
      const rules = rulesOf(listing, name)
      const own = rules.filter(rule => ownerOf(rule) === owner)
      const buckets = leavingBuckets(listing, name, own, unused)
      const leaving = [...own, ...buckets.flatMap(({ jumps }) => jumps)]
      const chains = bases
        .filter(({ table, chain }) => table === name && listing.chains.get(name)?.has(chain.name))
        .map(({ chain }) => chain)
        .filter(chain => {
          const leaves = unused && isUnused(chain, rules, leaving) && !isNeededBy(chain, kept)
          if (!leaves) kept.add(chain.name)
          return leaves
        })
      return {
        name,
        lines: [
          ...own.map(rule => `-D ${rule}`),
          ...buckets.flatMap(bucketRemoval),
          ...chains.flatMap(chain => [
            ...rules.filter(rule => targetOf(rule) === chain.name).map(rule => `-D ${rule}`),
            ...rules.filter(rule => chain.rules.includes(rule)).map(rule => `-D ${rule}`),
            // Fails, and the table stays as it is, when somebody added a rule meanwhile.
            `-X ${chain.name}`,
          ]),
        ],
      }
    }),
  )
}

/**
 * What leads published ports to heirs, as far as it is not there, and then removes those of an owner.
 * @param tables of the heirs, their ports alone
 * @returns empty when there is nothing to change
 */
export function portChange(listing: Listing, tables: readonly Table[], owner: string | undefined): string {
  const names = [...new Set([...tables.map(({ name }) => name), 'mangle' as const, 'nat' as const])]
  const parts = names.map(name => {
    const there = rulesOf(listing, name)
    const own = owner === undefined ? [] : there.filter(rule => isPortRule(rule) && ownerOf(rule) === owner)
    const wanted = tables.filter(table => table.name === name)
    const chains = new Map(wanted.flatMap(table => table.chains.map(chain => [chain.name, chain] as const)))
    const missing = wanted
      .flatMap(({ rules }) => rules)
      .filter(rule => !there.includes(rule) && !there.includes(flatRule(rule)))
    return { name, there, own, missing, chains: [...chains.values()] }
  })
  return restoreFile(
    parts.map(({ name, there, own, missing, chains }) => ({
      name,
      lines: [
        ...(parts.every(part => part.missing.length === 0)
          ? []
          : chains.flatMap(chain => chainCompletion(chain, listing.chains.get(name), there))),
        ...missing.map(rule => `-A ${rule}`),
        ...own.map(rule => `-D ${rule}`),
        ...leavingBuckets(listing, name, own, false)
          .filter(({ bucket }) => !missing.some(rule => chainOf(rule) === bucket))
          .flatMap(bucketRemoval),
      ],
    })),
  )
}

/** A bucket that goes, and what leads to it. */
interface Leaving {
  bucket: string
  jumps: string[]
}

/** The buckets in which nothing is left without these rules; with `unused` those in which nothing is, too. */
function leavingBuckets(listing: Listing, table: TableName, own: string[], unused: boolean): Leaving[] {
  const rules = rulesOf(listing, table)
  return [...(listing.chains.get(table) ?? [])]
    .filter(name => {
      const inside = wholeOf(name) === undefined ? undefined : rules.filter(rule => chainOf(rule) === name)
      return inside?.every(rule => own.includes(rule)) && (unused || inside.length > 0)
    })
    .map(bucket => ({ bucket, jumps: rules.filter(rule => targetOf(rule) === bucket) }))
}

/** `-X` fails, and the table stays as it is, when somebody added a rule meanwhile. */
const bucketRemoval = ({ bucket, jumps }: Leaving): string[] => [
  ...jumps.map(jump => `-D ${jump}`),
  `-X ${bucket}`,
]

const isUnused = (chain: BaseChain, rules: string[], own: string[]): boolean =>
  rules
    .filter(rule => chainOf(rule) === chain.name)
    .every(rule => own.includes(rule) || chain.rules.includes(rule))

/** A rule of a table. */
export interface TableRule {
  table: TableName
  rule: string
}

/** All that an attachment's tables consist of: what leads to the chains, what they share, and its own. */
const wantedRules = (tables: Table[]): TableRule[] =>
  tables.flatMap(({ name, chains, rules }) =>
    [...chains.flatMap(chain => [...chain.jumps, ...chain.rules]), ...rules].map(rule => ({
      table: name,
      rule,
    })),
  )

/** What a listing lacks of an attachment's tables. */
export const missingRules = (tables: Table[], listing: Listing): TableRule[] =>
  wantedRules(tables).filter(({ table, rule }) => !rulesOf(listing, table).includes(rule))

/**
 * An owner's tables with each rule where it stands: in a bucket, or in the chain itself, as an earlier build put it and
 * as the legacy variant has it. What was put back since may stand in the other place.
 * @param flat the tables without buckets
 * @param inBuckets where rules belong that stand nowhere, or in other words
 */
export const asTheyStand = (
  flat: readonly Table[],
  listing: Listing,
  owner: string,
  inBuckets: boolean,
): Table[] =>
  flat.map(table => {
    const there = rulesOf(listing, table.name)
    const [placed = table] = intoBuckets([table], owner)
    const isFlat = table.rules.map((rule, i) => {
      if (there.includes(placed.rules[i] ?? '')) return false
      return there.includes(rule) || !inBuckets || hasOwn(there, chainOf(rule), owner)
    })
    const [rest = table] = intoBuckets([{ ...table, rules: table.rules.filter((_, i) => !isFlat[i]) }], owner)
    return { ...rest, rules: [...table.rules.filter((_, i) => isFlat[i]), ...rest.rules] }
  })

const hasOwn = (there: readonly string[], chain: string, owner: string): boolean =>
  there.some(rule => chainOf(rule) === chain && ownerOf(rule) === owner)

/** Rules of an owner that an attachment's tables do not have. */
export function excessRules(
  tables: Table[],
  listing: Listing,
  owner: string,
): { table: string; rule: string }[] {
  return [...listing.rules].flatMap(([table, rules]) => {
    const wanted = tables.find(({ name }) => name === table)?.rules ?? []
    return rules
      .filter(rule => ownerOf(rule) === owner && !wanted.includes(rule))
      .map(rule => ({ table, rule }))
  })
}

/** Bridges over which somebody is reached from 127.0.0.0/8. */
export const loopbackBridges = (listing: Listing): Set<string> =>
  new Set(
    rulesOf(listing, 'nat').flatMap(
      rule => /^TSNET-POSTROUTING(?:-[0-9a-f]{2})? -s 127\.0\.0\.0\/8 .*-o (\S+) /.exec(rule)?.[1] ?? [],
    ),
  )
