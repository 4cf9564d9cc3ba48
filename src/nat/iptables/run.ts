/**
 * Talks to iptables' commands: a file for `iptables-restore`, a listing from `iptables-save`. Where others
 * change the same tables, it looks again and changes what is still to be changed.
 */

import { realpathSync } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Finished } from '../../ffi/command.ts'
import type { Family } from '../../model/address/address.ts'
import { TsnetError } from '../../model/errors.ts'
import { tellChange } from '../../model/surroundings.ts'
import { inodeHere } from '../../netns/netns.ts'
import { cleanEnvironment, findCommand, run, wordsOf } from '../commands.ts'
import { hasLegacyTables } from '../kernel-chains.ts'
import { isSilent, PAUSES_MS, patiently } from '../patience.ts'
import { restoreFile, type TableName } from './document.ts'
import { type Listing, readListing } from './listing.ts'
import { feedProcess, RESOURCE_PROBLEM, Restorer } from './restore.ts'

/** How long to wait for whoever holds the xtables lock. */
export const LOCK_WAIT_S = 60

/** How often a change is tried again when others change the shared chains at the same time. */
const ATTEMPTS = 40

export const toolName = (family: Family): string => `ip${family === 4 ? '' : '6'}tables`

export const commandName = (family: Family, what: 'restore' | 'save'): string => `${toolName(family)}-${what}`

export const findIptables = (family: Family): string | undefined =>
  findCommand(commandName(family, 'restore'))

/**
 * Where the commands of iptables keep their rules: in nf_tables, or in tables of their own. A command that does not
 * tell by its name uses what is in use.
 */
export function iptablesVariant(family: Family): 'nft' | 'legacy' {
  const path = findIptables(family)
  const name = path === undefined ? '' : basename(realpathSync(path))
  if (name.includes('nft')) return 'nft'
  return name.includes('legacy') || hasLegacyTables(family) ? 'legacy' : 'nft'
}

/** @throws TsnetError `missing` */
export function need(family: Family, what: 'restore' | 'save'): string {
  const name = commandName(family, what)
  const path = findCommand(name)
  if (path === undefined) {
    throw new TsnetError('missing', `iptables: no ${name} command is there`, {
      details: 'install iptables, or set natBackend to "nftables"',
    })
  }
  return path
}

const restorers = new Map<string, Restorer>()

/** Whoever would start the same command in the same place shares it. */
function restorerOf(family: Family): Restorer {
  const [path, env] = [need(family, 'restore'), cleanEnvironment()]
  const key = [inodeHere(), path, ...env].join('\0')
  const restorer =
    restorers.get(key) ??
    new Restorer(feedProcess(path, ['--noflush', '--verbose', '-w', String(LOCK_WAIT_S)], env))
  restorers.set(key, restorer)
  return restorer
}

/** What a file has done, as commands; what it only asks for (-C) changes nothing. */
function* linesOf(family: Family, file: string): Generator<string> {
  let table = ''
  for (const line of file.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1)
    if (line.startsWith(':')) yield `${toolName(family)} -t ${table} -N ${line.slice(1).split(' ')[0]}`
    if (line.startsWith('-') && !line.startsWith('-C')) yield `${toolName(family)} -t ${table} ${line}`
  }
}

let changes = 0

/** Another number while, and after, this process has changed rules by the command: who watches them knows whose it was. */
export const ownChanges = (): number => changes

/**
 * Feeds a file to iptables-restore.
 * @returns nothing when it was taken, else what iptables said
 */
export async function restore(family: Family, file: string): Promise<Finished | undefined> {
  changes++
  for (const line of linesOf(family, file)) tellChange(() => line)
  const failure = await restorerOf(family)
    .restore(file)
    .finally(() => changes++)
  if (failure?.code === RESOURCE_PROBLEM && failure.stderr.includes('xtables lock')) {
    throw new TsnetError('try-again', `iptables: somebody held the xtables lock for ${LOCK_WAIT_S} s`)
  }
  return failure
}

/**
 * What iptables-save prints, of one table or all.
 * @throws TsnetError `missing`, `kernel`
 */
export async function save(family: Family, table?: TableName): Promise<string> {
  // Rules that change while it reads them can end it without a word; it has changed nothing.
  const saved = await patiently(
    () => run(need(family, 'save'), table === undefined ? [] : ['-t', table]),
    isSilent,
  )
  if (saved.code === 0) return saved.stdout
  throw new TsnetError('kernel', `${commandName(family, 'save')}: ${wordsOf(saved)}`)
}

export const listRules = async (family: Family): Promise<Listing> => readListing(await save(family))

function iptablesError(family: Family, what: string, failure: Finished): TsnetError {
  return new TsnetError('kernel', `${commandName(family, 'restore')}, ${what}: ${wordsOf(failure)}`)
}

/** As restore. @throws TsnetError `kernel` when it was not taken */
export async function mustRestore(family: Family, file: string, what: string): Promise<void> {
  const failure = await restore(family, file)
  if (failure !== undefined) throw iptablesError(family, what, failure)
}

/** Every family that has a command here. */
export const families = (): Family[] => ([4, 6] as const).filter(family => findIptables(family) !== undefined)

/**
 * The same was tried several times, with longer and longer pauses: it is not others that stand in the way, who may put a
 * rule into a chain between each look and the change, and take it out again before the next.
 */
async function isHopeless(tried: string[], file: string): Promise<boolean> {
  const times = tried.slice(tried.findLastIndex(before => before !== file) + 1).length
  await sleep(PAUSES_MS[times - 1] ?? 0)
  return tried.length === ATTEMPTS || times > PAUSES_MS.length
}

/**
 * Adds what is missing, until nothing is.
 * @param look the file that adds it; empty where nothing is missing
 * @param failure why what was tried before did not do
 * @returns true when it was added, false when there was nothing to add
 * @throws TsnetError `missing`, `try-again`, `kernel`
 */
export async function complete(
  family: Family,
  what: string,
  look: () => Promise<string>,
  failure?: Finished,
): Promise<boolean> {
  const tried: string[] = []
  for (let reason = failure; ; ) {
    const file = await look()
    if (file === '') return false
    if (reason !== undefined && (await isHopeless(tried, file))) throw iptablesError(family, what, reason)
    tried.push(file)
    reason = await restore(family, file)
    if (reason === undefined) return true
  }
}

/**
 * Deletes what is there, until it is gone.
 * @param look the file that deletes it; empty where nothing is there
 * @throws TsnetError `missing`, `try-again`, `kernel`
 */
export async function deplete(family: Family, what: string, look: () => Promise<string>): Promise<void> {
  const tried: string[] = []
  for (;;) {
    const file = await look()
    if (file === '') return
    const failure = await restore(family, file)
    if (failure === undefined) return
    if (await isHopeless(tried, file)) throw iptablesError(family, what, failure)
    tried.push(file)
  }
}

/** True when iptables finds all these rules, however it prints them. */
export async function areThere(
  family: Family,
  rules: readonly { table: TableName; rule: string }[],
): Promise<boolean> {
  const names = [...new Set(rules.map(({ table }) => table))]
  const lines = (name: TableName): string[] =>
    rules.filter(({ table }) => table === name).map(({ rule }) => `-C ${rule}`)
  return (await restore(family, restoreFile(names.map(name => ({ name, lines: lines(name) }))))) === undefined
}

/**
 * Those of the rules that are not there. What a listing lacks may be there: another version of iptables
 * prints a rule differently, but finds it by our text.
 */
export async function absentOf<R extends { table: TableName; rule: string }>(
  family: Family,
  rules: readonly R[],
): Promise<R[]> {
  if (rules.length === 0 || (await areThere(family, rules))) return []
  const absent: R[] = []
  for (const one of rules) if (!(await areThere(family, [one]))) absent.push(one)
  return absent
}
