/**
 * The iptables backend: one file for `iptables-restore` a family and operation, where all is as expected.
 *
 *     install    add the rules, provided that our chains are jumped to; else make the chains as well; where
 *                that does not do either, look what is there (iptables-save) and add what is missing. The
 *                first attachment begins with making the chains
 *     withdraw   nft variant: delete the rules by their handles, and the chains that are empty then (removal.ts)
 *                legacy: delete the rules by their text; where that does not do, look and delete what is there
 *     verify     look for the rules by their text; where they are not all there, look what is
 *
 * Each table changes as a whole or not at all, and so does its part of a file: `-N` fails for a chain that
 * exists, `-C` for a rule that does not, `-X` for a chain that has rules. These decide who wins when
 * several processes make or remove the shared chains at once; who loses looks again. What is half done when
 * an error is not of that kind is taken back, in both families. Files that meet are joined
 * (restore.ts), and it is as if one had come after the other.
 *
 * Both variants of iptables will do. What the nft variant does costs the same on a full host (buckets.ts), but for
 * what the kernel does: where a rule is added it goes through all rules of the table. Where the host has tables of
 * the legacy variant as well, only its command knows which of the two holds ours, and all goes by text.
 */

import type { Family } from '../../model/address/address.ts'
import { everyOne } from '../../model/undo.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { findChains } from '../kernel-chains.ts'
import { commentOf, type FamilyRules, type Rules } from '../rules.ts'
import { intoBuckets } from './buckets.ts'
import {
  additionFile,
  freshFile,
  LOOPBACK_GUARD,
  PORT_CHAIN,
  type Policy,
  removalFile,
  restoreFile,
  steadyFile,
  type Table,
  tablesOf,
  withPolicy,
} from './document.ts'
import { areJumpedTo, areLedTo, isByHandle, isCountRight, makeBuckets, ownersByHandle } from './handles.ts'
import {
  asTheyStand,
  completion,
  excessRules,
  guardCompletion,
  loopbackBridges,
  missingRules,
  oneLess,
  ownersIn,
  portChange,
  removal,
  repeatedJumps,
} from './listing.ts'
import { removeByHandle } from './removal.ts'
import {
  absentOf,
  areThere,
  commandName,
  complete,
  deplete,
  families,
  findIptables,
  LOCK_WAIT_S,
  listRules,
  mustRestore,
  need,
  restore,
  toolName,
} from './run.ts'

/** What install is told beside the rules. */
export interface InstallHint {
  /** No other attachment has rules. Safe when wrong. */
  first?: boolean
  /** Families in which FORWARD is to drop by policy from now on. */
  guards?: readonly Family[]
}

/** @throws TsnetError `missing`, `try-again`, `kernel` */
export async function installIptables(rules: Rules, hint: InstallHint = {}): Promise<void> {
  const parts = rules.families.map(part => {
    const { family } = part
    const byHandle = isByHandle(family)
    const tables = placedTables(rules, part, byHandle)
    return { family, byHandle, tables: hint.guards?.includes(family) ? withPolicy(tables, 'DROP') : tables }
  })
  for (const { family } of parts) need(family, 'restore')
  const results = await Promise.allSettled(parts.map(part => installTables(part, rules.owner, hint)))
  const failed = results.find(result => result.status === 'rejected')
  if (failed === undefined) return
  try {
    // The shared chains that we made go too, and only those that nobody uses.
    await withdrawIptables(rules.owner, { last: true })
  } catch (thrown) {
    throw new AggregateError([failed.reason, thrown])
  }
  throw failed.reason
}

/** The tables of an attachment, as they are made in a family. */
export const placedTables = (
  rules: Rules,
  part: FamilyRules,
  byHandle = isByHandle(part.family),
): Table[] => {
  const tables = tablesOf(rules, part)
  return byHandle ? intoBuckets(tables, rules.owner) : tables
}

async function installTables(
  { family, byHandle, tables }: { family: Family; byHandle: boolean; tables: Table[] },
  owner: string,
  { first = false }: InstallHint,
): Promise<void> {
  const isLooking = byHandle && !first
  if (isLooking) makeBuckets(netfilterHere(), family, tables)
  // All our chains are there, or none: these need no look at what is in them.
  const usual = isLooking && areJumpedTo(netfilterHere(), family, tables) ? additionFile : steadyFile
  const [likely, unlikely] = first ? [freshFile, usual] : [usual, freshFile]
  if ((await restore(family, likely(tables))) === undefined) return
  const failure = await restore(family, unlikely(tables))
  if (failure === undefined) return
  const look = async () => completion(tables, await listRules(family), owner)
  if (await complete(family, `rules of ${commentOf(owner)}`, look, failure)) {
    await removeRepeatedJumps(family, tables)
  }
}

/** How often repeated jumps are looked for: each time one is lost to somebody who deletes the same, one of them is gone. */
const LOOKS = 8

/** Of jumps that stand more than once, all but one go. iptables names a rule by its number, so that two can meet in one. */
export async function removeRepeatedJumps(family: Family, tables: Table[]): Promise<void> {
  for (let look = 0; look < LOOKS; look++) {
    const repeated = repeatedJumps(tables, await listRules(family))
    if (repeated.length === 0) return
    for (const each of repeated) await restore(family, oneLess(each))
  }
}

/** What withdraw is told beside the owner, none of which it needs. */
export interface Farewell {
  /** What was installed: saves looking. */
  rules?: Rules
  /** No other attachment has rules: what all share goes too. Safe when wrong. */
  last: boolean
  /** Families in which FORWARD is to accept by policy again. */
  guards?: readonly Family[]
}

/** @throws TsnetError `try-again`, `kernel` */
export async function withdrawIptables(owner: string, { rules, last, guards = [] }: Farewell): Promise<void> {
  const known = rules?.families.map(({ family }) => family)
  await everyOne(
    // What is shared may be in a family that this attachment does not have.
    (last || known === undefined ? families() : [...new Set([...known, ...guards])]).map(async family => {
      const part = rules?.families.find(candidate => candidate.family === family)
      const own = rules === undefined || part === undefined ? [] : tablesOf(rules, part)
      const guarded = guards.includes(family)
      if (isByHandle(family)) {
        const tables = rules && { tables: intoBuckets(own, owner) }
        removeByHandle(netfilterHere(), family, owner, { ...tables, last, accepts: guarded })
        return last ? keepGuard(family) : undefined
      }
      if (rules !== undefined && !last && !guarded && (await removeKnown(family, own))) return
      await deplete(family, `removing ${commentOf(owner)}`, async () =>
        removal(family, await listRules(family), owner, last),
      )
      if (last) await keepGuard(family)
      if (!guarded) return
      const { policies } = await listRules(family)
      if (policies.get('filter FORWARD') === 'DROP') await setForwardPolicy(family, 'ACCEPT')
    }),
  )
}

/** Tables change one after the other: who publishes a port between our look and the change was not seen. */
async function keepGuard(family: Family): Promise<void> {
  const ports = { family, table: 'nat', name: PORT_CHAIN }
  if (isByHandle(family) && findChains([ports])[0] === undefined) return
  await complete(family, LOOPBACK_GUARD, async () => guardCompletion(family, await listRules(family)))
}

/**
 * Adds heirs' rules for published ports, as far as they are not there, and deletes an owner's, in one transaction.
 * @throws TsnetError `try-again`, `kernel`
 */
export async function handOverIptables(owner: string | undefined, heirs: readonly Rules[]): Promise<void> {
  await everyOne(
    families().map(async family => {
      const tables = heirs.flatMap(heir =>
        heir.families.flatMap(part => (part.family === family ? placedTables(heir, part) : [])),
      )
      await complete(family, 'handing over published ports', async () =>
        portChange(await listRules(family), tables, owner),
      )
    }),
  )
}

/** Removes what should be there, without looking. False when it is not all there. */
async function removeKnown(family: Family, tables: Table[]): Promise<boolean> {
  const file = removalFile(tables)
  return file === '' || (await restore(family, file)) === undefined
}

/** Equivalent to: iptables -P FORWARD POLICY */
export const setForwardPolicy = (family: Family, policy: Policy): Promise<void> =>
  mustRestore(family, restoreFile([{ name: 'filter', lines: [`-P FORWARD ${policy}`] }]), 'policy of FORWARD')

export async function ownersIptables(): Promise<string[]> {
  const found = await Promise.all(
    families().map(async family =>
      isByHandle(family) ? ownersByHandle(netfilterHere(), family) : ownersIn(await listRules(family)),
    ),
  )
  return [...new Set(found.flat())]
}

/** The files for both families, each below the command that takes it. */
export const describeIptables = (rules: Rules): string =>
  rules.families
    .map(part => {
      const command = `${commandName(part.family, 'restore')} --noflush -w ${LOCK_WAIT_S}`
      return `# ${command}\n${freshFile(placedTables(rules, part))}`
    })
    .join('\n')

export async function verifyIptables(rules: Rules): Promise<string[]> {
  const problems = await Promise.all(rules.families.map(part => verifyFamily(rules, part)))
  return problems.flat()
}

async function verifyFamily(rules: Rules, part: FamilyRules): Promise<string[]> {
  const { family } = part
  const byHandle = isByHandle(family)
  const placed = placedTables(rules, part, byHandle)
  // The command finds the rules by their text, and reads no more for it than their buckets.
  if (byHandle && isCountRight(netfilterHere(), family, rules.owner, placed)) {
    const own = placed.flatMap(table => table.rules.map(rule => ({ table: table.name, rule })))
    if (areLedTo(netfilterHere(), family, placed) && (await areThere(family, own))) return []
  }
  const listing = await listRules(family)
  const tables = asTheyStand(tablesOf(rules, part), listing, rules.owner, byHandle)
  const name = toolName(family)
  const missing = missingRules(tables, listing)
  const absent = await absentOf(family, missing)
  const problems = absent.map(({ table, rule }) => `${name}: table ${table} lacks -A ${rule}`)
  if (problems.length < missing.length) return problems
  const excess = excessRules(tables, listing, rules.owner)
  return [...problems, ...excess.map(({ table, rule }) => `${name}: table ${table} has also -A ${rule}`)]
}

/** Bridges over which somebody is reached from 127.0.0.0/8. */
export const loopbackBridgesIptables = async (): Promise<Set<string>> =>
  findIptables(4) === undefined ? new Set() : loopbackBridges(await listRules(4))
