/**
 * The iptables backend: one `iptables-restore` a family and operation, where all is as expected.
 *
 *     install    add the rules, provided that our chains are jumped to; else make the chains as well; where
 *                that does not do either, look what is there (iptables-save) and add what is missing. The
 *                first attachment begins with making the chains
 *     withdraw   delete the rules by their text, with the last attachment the chains as well; where that
 *                does not do, look and delete what is there
 *
 * Each table changes as a whole or not at all, and so does its part of a file: `-N` fails for a chain that
 * exists, `-C` for a rule that does not, `-X` for a chain that has rules. These decide who wins when
 * several processes make or remove the shared chains at once; who loses looks again. What is half done when
 * an error is not of that kind is taken back, in both families.
 *
 * Both variants of iptables will do. The nft variant waits for an RCU grace period whenever it opens a
 * socket after a deletion; it does so for each extension it meets, so what is deleted first is the table
 * that uses them all.
 */

import type { Finished } from '../ffi/command.ts'
import type { Family } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import { findCommand, run } from './commands.ts'
import {
  baseChains,
  farewellFile,
  freshFile,
  type Policy,
  removalFile,
  restoreFile,
  steadyFile,
  type Table,
  type TableName,
  tablesOf,
  withPolicy,
} from './ipt-document.ts'
import {
  completion,
  excessRules,
  type Listing,
  loopbackBridges,
  missingRules,
  oneLess,
  ownersIn,
  readListing,
  removal,
  repeatedJumps,
} from './ipt-listing.ts'
import { findChains, hasLegacyTables } from './kernel-chains.ts'
import { commentOf, type FamilyRules, type Rules } from './rules.ts'

/** How long to wait for whoever holds the xtables lock. */
const LOCK_WAIT_S = 60

/** How often a change is tried again when others change the shared chains at the same time. */
const ATTEMPTS = 40

/** Exit code of iptables for a lock that was not to be had. */
const RESOURCE_PROBLEM = 4

const commandName = (family: Family, what: 'restore' | 'save'): string =>
  `ip${family === 4 ? '' : '6'}tables-${what}`

export const findIptables = (family: Family): string | undefined =>
  findCommand(commandName(family, 'restore'))

/** @throws TsnetError `missing` */
function need(family: Family, what: 'restore' | 'save'): string {
  const name = commandName(family, what)
  const path = findCommand(name)
  if (path === undefined) {
    throw new TsnetError('missing', `iptables: no ${name} command is there`, {
      details: 'install iptables, or set natBackend to "nftables"',
    })
  }
  return path
}

/** Printed by `--verbose` when every part of a file is in force. */
const DONE = '# all is done'

/**
 * Feeds a file to iptables-restore.
 * @returns nothing when it was taken, else what iptables said
 */
export async function restore(family: Family, file: string): Promise<Finished | undefined> {
  const args = ['--noflush', '--verbose', '-w', String(LOCK_WAIT_S)]
  // At the end of its input it closes its socket. After a deletion that waits for a grace period, and keeps
  // a link from being deleted meanwhile; so let it be later.
  const rest = { stdin: `${file}${DONE}\n`, until: DONE }
  const result = await run(need(family, 'restore'), args, rest)
  if (result.code === 0) return undefined
  if (result.code === RESOURCE_PROBLEM && result.stderr.includes('xtables lock')) {
    throw new TsnetError('try-again', `iptables: somebody held the xtables lock for ${LOCK_WAIT_S} s`)
  }
  return result
}

/**
 * What iptables-save prints, of one table or all.
 * @throws TsnetError `missing`, `kernel`
 */
export async function save(family: Family, table?: TableName): Promise<string> {
  const { code, stdout, stderr } = await run(need(family, 'save'), table === undefined ? [] : ['-t', table])
  if (code !== 0) throw new TsnetError('kernel', `${commandName(family, 'save')}: ${stderr.trim()}`)
  return stdout
}

export const listRules = async (family: Family): Promise<Listing> => readListing(await save(family))

export function iptablesError(family: Family, what: string, { stderr }: Finished): TsnetError {
  const words = stderr.split('\n').filter(line => line !== '' && !line.startsWith('Try `'))
  return new TsnetError('kernel', `${commandName(family, 'restore')}, ${what}: ${words.join(' ')}`)
}

/** As restore. @throws TsnetError `kernel` when it was not taken */
export async function mustRestore(family: Family, file: string, what: string): Promise<void> {
  const failure = await restore(family, file)
  if (failure !== undefined) throw iptablesError(family, what, failure)
}

/** Every family that has a command here. */
export const families = (): Family[] => ([4, 6] as const).filter(family => findIptables(family) !== undefined)

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
    const tables = tablesOf(rules, part)
    const { family } = part
    return { family, tables: hint.guards?.includes(family) ? withPolicy(tables, 'DROP') : tables }
  })
  for (const { family } of parts) need(family, 'restore')
  const results = await Promise.allSettled(
    parts.map(({ family, tables }) => installTables(family, tables, rules.owner, hint)),
  )
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

async function installTables(
  family: Family,
  tables: Table[],
  owner: string,
  { first = false }: InstallHint,
): Promise<void> {
  // All our chains are there, or none: these two need no look.
  const [likely, unlikely] = first ? [freshFile, steadyFile] : [steadyFile, freshFile]
  if ((await restore(family, likely(tables))) === undefined) return
  let failure = await restore(family, unlikely(tables))
  const tried: string[] = []
  while (failure !== undefined) {
    const file = completion(tables, await listRules(family), owner)
    if (file === '') return
    if (isHopeless(tried, file)) throw iptablesError(family, `rules of ${commentOf(owner)}`, failure)
    tried.push(file)
    failure = await restore(family, file)
  }
  if (tried.length > 0) await removeRepeatedJumps(family, tables)
}

/** The same was tried several times: it is not others that stand in the way. */
export const isHopeless = (tried: string[], file: string): boolean =>
  tried.length === ATTEMPTS || (tried.length >= 3 && tried.slice(-3).every(before => before === file))

async function removeRepeatedJumps(family: Family, tables: Table[]): Promise<void> {
  for (const repeated of repeatedJumps(tables, await listRules(family))) {
    await restore(family, oneLess(repeated))
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
  await settleAll(
    // What is shared may be in a family that this attachment does not have.
    (last || known === undefined ? families() : [...new Set([...known, ...guards])]).map(async family => {
      const part = rules?.families.find(candidate => candidate.family === family)
      const own = rules === undefined || part === undefined ? [] : tablesOf(rules, part)
      const guarded = guards.includes(family)
      // What else is in tables of the legacy variant only its command knows.
      if (rules !== undefined && (!hasLegacyTables(family) || (!last && !guarded))) {
        const tables = guarded && drops(family) ? withPolicy(own, 'ACCEPT') : own
        if (await removeKnown(family, tables, last)) return
      }
      await removeListed(family, owner, last)
      if (!guarded) return
      const { policies } = await listRules(family)
      if (policies.get('filter FORWARD') === 'DROP') await setForwardPolicy(family, 'ACCEPT')
    }),
  )
}

const drops = (family: Family): boolean =>
  findChains([{ family, table: 'filter', name: 'FORWARD' }])[0]?.drops ?? false

/** Removes what should be there, without looking. False when it is not all there, or somebody uses it. */
async function removeKnown(family: Family, tables: Table[], last: boolean): Promise<boolean> {
  const file = last ? farewellFile(family, tables, ownChains(family)) : removalFile(tables)
  return file === '' || (await restore(family, file)) === undefined
}

/** Names of our chains that exist, but in tables of the legacy variant. */
function ownChains(family: Family): Set<string> {
  const wanted = baseChains(family).map(({ table, chain }) => ({ family, table, name: chain.name }))
  const found = findChains(wanted)
  return new Set(wanted.filter((_, i) => found[i] !== undefined).map(({ name }) => name))
}

/** Equivalent to: iptables -P FORWARD POLICY */
export const setForwardPolicy = (family: Family, policy: Policy): Promise<void> =>
  mustRestore(family, restoreFile([{ name: 'filter', lines: [`-P FORWARD ${policy}`] }]), 'policy of FORWARD')

async function removeListed(family: Family, owner: string, unused: boolean): Promise<void> {
  const tried: string[] = []
  for (;;) {
    const file = removal(family, await listRules(family), owner, unused)
    if (file === '') return
    const failure = await restore(family, file)
    if (failure === undefined) return
    if (isHopeless(tried, file)) throw iptablesError(family, `removing ${commentOf(owner)}`, failure)
    tried.push(file)
  }
}

/** Waits for all, then throws what failed. */
export async function settleAll(work: Promise<void>[]): Promise<void> {
  const failures = (await Promise.allSettled(work)).flatMap(result =>
    result.status === 'rejected' ? [result.reason] : [],
  )
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures)
}

export async function ownersIptables(): Promise<string[]> {
  const listings = await Promise.all(families().map(listRules))
  return [...new Set(listings.flatMap(ownersIn))]
}

/** The files for both families, each below the command that takes it. */
export const describeIptables = (rules: Rules): string =>
  rules.families
    .map(part => {
      const command = `${commandName(part.family, 'restore')} --noflush -w ${LOCK_WAIT_S}`
      return `# ${command}\n${freshFile(tablesOf(rules, part))}`
    })
    .join('\n')

export async function verifyIptables(rules: Rules): Promise<string[]> {
  const problems = await Promise.all(rules.families.map(part => verifyFamily(rules, part)))
  return problems.flat()
}

async function verifyFamily(rules: Rules, part: FamilyRules): Promise<string[]> {
  const tables = tablesOf(rules, part)
  const listing = await listRules(part.family)
  const name = `ip${part.family === 4 ? '' : '6'}tables`
  const missing = missingRules(tables, listing)
  // Another version of iptables may print a rule differently, but finds it by our text.
  if (missing.length > 0 && (await areThere(part.family, missing))) return []
  const problems: string[] = []
  for (const { table, rule } of missing) {
    if (!(await areThere(part.family, [{ table, rule }]))) {
      problems.push(`${name}: table ${table} lacks -A ${rule}`)
    }
  }
  if (problems.length < missing.length) return problems
  const excess = excessRules(tables, listing, rules.owner)
  return [...problems, ...excess.map(({ table, rule }) => `${name}: table ${table} has also -A ${rule}`)]
}

/** True when iptables finds all these rules, however it prints them. */
export async function areThere(
  family: Family,
  rules: { table: TableName; rule: string }[],
): Promise<boolean> {
  const names = [...new Set(rules.map(({ table }) => table))]
  const lines = (name: TableName): string[] =>
    rules.filter(({ table }) => table === name).map(({ rule }) => `-C ${rule}`)
  return (await restore(family, restoreFile(names.map(name => ({ name, lines: lines(name) }))))) === undefined
}

/** Bridges over which somebody is reached from 127.0.0.0/8. */
export const loopbackBridgesIptables = async (): Promise<Set<string>> =>
  findIptables(4) === undefined ? new Set() : loopbackBridges(await listRules(4))
