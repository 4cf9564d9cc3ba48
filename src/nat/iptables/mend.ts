/**
 * Puts back what somebody took away of our chains: a file for iptables-restore a family, in which guards come first.
 *
 * What is lacking is told by structure and number, not by text: another version of iptables prints a rule in other
 * words than ours, and a rule that seems to lack though it is there would be added for ever. So a chain has to be
 * there, be led to from where it should be, begin with as many shared rules as it should, and hold as many rules of
 * each owner as he should have, which the command finds by our text where it is not what we would print: an earlier build
 * had others, and elsewhere. Where he has not, all of his in that table are made anew; and so are those of whoever stands
 * behind him for one of his ports, since order says who has it.
 */

import type { Family } from '../../model/address/address.ts'
import { portsMeet } from '../../model/port-mapping.ts'
import { type Hold, type Loss, losersOf } from '../loss.ts'
import { commentOf, type Published, type Rules } from '../rules.ts'
import { wholeOf } from './buckets.ts'
import { type BaseChain, restoreFile, type Table, type TableName } from './document.ts'
import { placedTables, removeRepeatedJumps } from './iptables.ts'
import { chainCompletion, chainOf, type Listing, ownerOf, targetOf } from './listing.ts'
import { listingOfNothing } from './nothing-left.ts'
import { areThere, complete, families, listRules, toolName } from './run.ts'

/** What one owner shall have in a family. */
interface Wanted {
  owner: string
  tables: Table[]
  published: Published[]
}

interface Damage {
  losses: Loss[]
  tables: { name: TableName; chains: BaseChain[]; losers: Set<string> }[]
  isOpen: boolean
}

/**
 * Finds what is lacking of all these rules, and puts it back.
 * @param closed families in which the host forwards for our containers alone
 * @param hold absent: nothing is changed
 * @returns what was lacking
 * @throws TsnetError `missing`, `try-again`, `kernel`
 */
export async function mendIptables(
  all: readonly Rules[],
  closed: readonly Family[],
  hold?: Hold,
): Promise<Loss[]> {
  const found = await Promise.all(
    families().map(family => mendFamily(family, wantedOf(family, all), closed.includes(family), hold)),
  )
  return found.flat()
}

/** True where nothing of ours is left in one of these families, as far as that can be told without a command. */
export const isGoneIptables = (used: readonly Family[]): boolean =>
  used.some(family => listingOfNothing(family) !== undefined)

const wantedOf = (family: Family, all: readonly Rules[]): Wanted[] =>
  all.flatMap(rules =>
    rules.families
      .filter(part => part.family === family)
      .map(part => ({
        owner: rules.owner,
        tables: placedTables(rules, part),
        published: part.published,
      })),
  )

async function mendFamily(
  family: Family,
  wanted: readonly Wanted[],
  isClosed: boolean,
  hold?: Hold,
): Promise<Loss[]> {
  if (wanted.length === 0 && !isClosed) return []
  let losses: Loss[] | undefined
  const look = async (): Promise<string> => {
    const listing = listingOfNothing(family) ?? (await listRules(family))
    const damage = damageOf(family, wanted, isClosed, listing)
    await addOthers(damage, family, wanted, listing)
    losses ??= damage.losses
    if (damage.losses.length === 0 || hold === undefined) return ''
    return repairFile(damage, wanted, listing, hold(withBehind(wanted, losersOf(damage.losses))))
  }
  const isMended = await complete(family, 'putting rules back', look)
  if (isMended)
    await removeRepeatedJumps(
      family,
      wanted.flatMap(({ tables }) => tables),
    )
  return losses ?? []
}

/** What a listing lacks. */
function damageOf(family: Family, wanted: readonly Wanted[], isClosed: boolean, listing: Listing): Damage {
  const name = toolName(family)
  const isOpen = isClosed && listing.policies.get('filter FORWARD') !== 'DROP'
  const losses: Loss[] = isOpen
    ? [{ what: `${name}: FORWARD accepts by policy, so the host forwards for others too` }]
    : []
  const tables = (['raw', 'mangle', 'filter', 'nat'] as const).map(table => {
    const there = listing.rules.get(table) ?? []
    const counts = countsOf(there)
    const losers = new Set<string>()
    const chains = new Map<string, BaseChain>()
    for (const { owner, tables } of wanted) {
      for (const { chains: own, rules } of tables.filter(each => each.name === table)) {
        for (const chain of own) chains.set(chain.name, chain)
        const found = counts.get(owner) ?? 0
        if (found === rules.length) continue
        losers.add(owner)
        const what = `${name}: table ${table} has ${found} of ${rules.length} rules of ${commentOf(owner)}`
        losses.push({ what, owner })
      }
    }
    const broken = [...chains.values()].flatMap(chain => {
      const why = lossOf(chain, listing.chains.get(table), there)
      return why === undefined ? [] : [{ chain, what: `${name}: table ${table}: ${why}` }]
    })
    losses.push(...broken.map(({ what }) => ({ what })))
    return { name: table, chains: broken.map(({ chain }) => chain), losers }
  })
  return { losses, tables, isOpen }
}

/** Owners with as many rules as they should have, and others. */
async function addOthers(
  { tables, losses }: Damage,
  family: Family,
  wanted: readonly Wanted[],
  listing: Listing,
): Promise<void> {
  const doubtful = tables.flatMap(({ name, losers }) => {
    const there = new Set(listing.rules.get(name))
    return wanted
      .filter(({ owner }) => !losers.has(owner))
      .map(({ owner, tables }) => ({
        owner,
        losers,
        rules: tables
          .filter(table => table.name === name)
          .flatMap(({ rules }) =>
            rules.filter(rule => !there.has(rule)).map(rule => ({ table: name, rule })),
          ),
      }))
      .filter(({ rules }) => rules.length > 0)
  })
  const all = doubtful.flatMap(({ rules }) => rules)
  if (all.length === 0 || (await areThere(family, all))) return
  for (const { owner, losers, rules } of doubtful) {
    if (await areThere(family, rules)) continue
    losers.add(owner)
    const what = `${toolName(family)}: table ${rules[0]?.table} has other rules of ${commentOf(owner)} than it should`
    losses.push({ what, owner })
  }
}

function countsOf(rules: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const rule of rules) {
    const owner = ownerOf(rule)
    if (owner !== undefined) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  }
  return counts
}

/** In whatever words: of two jumps from one chain to another each has its protocol. */
const isLed = (there: readonly string[], jump: string): boolean =>
  there.some(rule => wayOf(rule) === wayOf(jump))

const wayOf = (jump: string): string => [chainOf(jump), targetOf(jump), protocolOf(jump)].join(' ')

const protocolOf = (rule: string): string => / -p (\S+)/.exec(rule)?.[1] ?? ''

function lossOf(
  { name, jumps, rules }: BaseChain,
  chains: ReadonlySet<string> | undefined,
  there: readonly string[],
): string | undefined {
  if (!chains?.has(name)) return `there is no chain ${name}`
  const lost = jumps.find(jump => !isLed(there, jump))
  if (lost !== undefined) return `there is no -A ${lost}`
  const isShared = (rule: string): boolean =>
    chainOf(rule) === name && ownerOf(rule) === undefined && wholeOf(targetOf(rule)) === undefined
  return there.filter(isShared).length < rules.length ? `${name} lacks what all share` : undefined
}

/** Owners, and those that stand behind one of them for a port. */
function withBehind(wanted: readonly Wanted[], losers: readonly string[]): string[] {
  const all = new Set(losers)
  const ports: Published[] = []
  for (const { owner, published } of wanted) {
    if (published.some(port => ports.some(before => portsMeet(before, port)))) all.add(owner)
    if (all.has(owner)) ports.push(...published)
  }
  return [...all]
}

function repairFile(
  { tables, isOpen }: Damage,
  wanted: readonly Wanted[],
  listing: Listing,
  may: ReadonlySet<string>,
): string {
  return restoreFile(
    tables.map(({ name, chains, losers }) => {
      const there = listing.rules.get(name) ?? []
      const anew = new Set(withBehind(wanted, [...losers]).filter(owner => may.has(owner)))
      const stale = there.filter(rule => anew.has(ownerOf(rule) ?? ''))
      return {
        name,
        lines: [
          ...(name === 'filter' && isOpen ? ['-P FORWARD DROP'] : []),
          ...chains.flatMap(chain =>
            chainCompletion(withoutLed(chain, there), listing.chains.get(name), there),
          ),
          ...stale.map(rule => `-D ${rule}`),
          ...wanted
            .filter(({ owner }) => anew.has(owner))
            .flatMap(({ tables }) => tables.filter(table => table.name === name))
            .flatMap(({ rules }) => rules.map(rule => `-A ${rule}`)),
        ],
      }
    }),
  )
}

/** Without the jumps that are there, in whatever words. */
const withoutLed = (chain: BaseChain, there: readonly string[]): BaseChain => ({
  ...chain,
  jumps: chain.jumps.filter(jump => !isLed(there, jump)),
})
