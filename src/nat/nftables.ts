/**
 * The nftables backend: one transaction adds all that an attachment needs, one takes it away.
 *
 *     install    create its elements; where the table is missing, that first, in the same transaction
 *     withdraw   delete its elements; where they are not all there, those that are
 *
 * The kernel refuses an element that exists, so two attachments cannot have one host port.
 */

import type { Family } from '../model/address.ts'
import { TsnetError } from '../model/errors.ts'
import {
  deleteUnusedChains,
  forwardAccepts,
  forwardRemovals,
  missingForwardAccepts,
  openForwardChains,
} from './forward-accept.ts'
import { baseChains, baseDocument, deleteTable, TABLE } from './nft-base.ts'
import {
  createElements,
  deleteElements,
  type Element,
  elementsOf,
  elementText,
  getElement,
  isPortElement,
  portElementsOf,
} from './nft-document.ts'
import { absentElements } from './nft-elements.ts'
import { elementsOfOwner, listedChains, listedKeys, listedOwners, listedRules } from './nft-listing.ts'
import { isBusy, isMissing, isTaken, nftError, runNft } from './nft-run.ts'
import { commentOf, type Rules } from './rules.ts'

/** How often a change is tried again when others change the shared parts at the same time. */
const ATTEMPTS = 10

/** @throws TsnetError `conflict`, `kernel` */
export async function installNft(rules: Rules): Promise<void> {
  const { owner } = rules
  const create = createElements(elementsOf(rules), owner)
  for (let attempt = 1; ; attempt++) {
    const accepts = forwardAccepts(rules, await openForwardChains(rules))
    let result = await runNft([...create, ...accepts])
    if (isMissing(result)) result = await runNft([...baseDocument(rules), ...create, ...accepts])
    if (result.ok) return
    if (isTaken(result)) throw await conflict(rules)
    // The chain that accepts go to was removed by somebody who was the last to use it.
    if (!isMissing(result) || attempt === ATTEMPTS) throw nftError(`rules of ${commentOf(owner)}`, result)
  }
}

/** @throws TsnetError `kernel` */
export async function withdrawNft(
  owner: string,
  { rules, last }: { rules?: Rules; last: boolean; guards?: readonly Family[] },
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const elements = rules !== undefined && attempt === 1 ? elementsOf(rules) : await ownElements(owner)
    const accepts = await forwardRemovals(owner)
    const deletions = [...deleteElements(elements), ...accepts.commands]
    let result = await runNft(last ? [...deletions, ...deleteTable] : deletions)
    // Somebody else is there, or the table is gone already.
    if (last && !result.ok) result = await runNft(deletions)
    if (result.ok) return deleteUnusedChains(accepts.families)
    if (!isMissing(result) || attempt === ATTEMPTS) throw nftError(`removing ${commentOf(owner)}`, result)
  }
}

/**
 * Deletes an owner's port elements and creates those of its heirs, in one transaction.
 * @throws TsnetError `kernel`
 */
export async function handOverNft(owner: string, heirs: readonly Rules[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const gone = (await ownElements(owner)).filter(isPortElement)
    const added: string[] = []
    for (const heir of heirs) {
      // Whoever did this before may have been killed before it could say so.
      const there = new Set((await ownElements(heir.owner)).map(({ set, key }) => `${set} ${key}`))
      const missing = portElementsOf(heir).filter(({ set, key }) => !there.has(`${set} ${key}`))
      added.push(...createElements(missing, heir.owner))
    }
    const commands = [...deleteElements(gone), ...added]
    if (commands.length === 0) return
    const result = await runNft(commands)
    if (result.ok) return
    const isRace = isMissing(result) || isTaken(result)
    if (!isRace || attempt === ATTEMPTS) throw nftError(`handing over ports of ${commentOf(owner)}`, result)
  }
}

async function ownElements(owner: string): Promise<Element[]> {
  const listing = await runNft([`list table ${TABLE}`], { json: true })
  if (listing.ok) return elementsOfOwner(listing, owner)
  if (isMissing(listing)) return []
  throw nftError(`listing table ${TABLE}`, listing)
}

/** Deletes the table unless somebody uses it. */
export async function deleteUnusedTable(): Promise<void> {
  const result = await runNft(deleteTable)
  if (!result.ok && !isBusy(result) && !isMissing(result)) throw nftError(`deleting table ${TABLE}`, result)
}

async function conflict(rules: Rules): Promise<TsnetError> {
  for (const element of elementsOf(rules)) {
    const found = await runNft([getElement(element)])
    if (!found.ok) continue
    const holder = /comment "(tsnet:[0-9a-f]{16})"/.exec(found.output)?.[1] ?? 'somebody'
    const what = element.set.startsWith('ports')
      ? `host port ${element.key}`
      : `${element.set} ${element.key}`
    return new TsnetError('conflict', `nftables: ${what} has rules of ${holder} already`)
  }
  return new TsnetError('conflict', `nftables: rules of ${commentOf(rules.owner)} collide with others`)
}

export async function ownersNft(): Promise<string[]> {
  const listing = await runNft([`list map ${TABLE} owners`], { json: true })
  if (listing.ok) return listedOwners(listing)
  if (isMissing(listing)) return []
  throw nftError(`listing table ${TABLE}`, listing)
}

export function describeNft(rules: Rules): string {
  const elements = createElements(elementsOf(rules), rules.owner)
  return `${[...baseDocument(rules), '', `# what ${commentOf(rules.owner)} has in them`, ...elements].join('\n')}\n`
}

export async function verifyNft(rules: Rules): Promise<string[]> {
  const chains = await lastingly(() => brokenChains(rules))
  return [...missingElements(rules), ...chains, ...(await missingForwardAccepts(rules))]
}

/** What others change while nft lists, it begins to read again, and may list twice. So a fault is one that stays. */
async function lastingly(faults: () => Promise<string[]>): Promise<string[]> {
  for (let attempt = 1; ; attempt++) {
    const found = await faults()
    if (found.length === 0 || attempt === ATTEMPTS) return found
  }
}

const missingElements = (rules: Rules): string[] =>
  absentElements(elementsOf(rules), rules.owner).map(
    element => `nftables: ${element.set} lacks ${elementText(element, rules.owner)}`,
  )

async function brokenChains(rules: Rules): Promise<string[]> {
  // Not the table alone: for that nft reads the elements of its sets, whether they are asked for or not.
  const listing = await runNft([`list ruleset ${TABLE_FAMILY}`], { json: true, terse: true })
  if (!listing.ok) throw nftError(`listing table ${TABLE}`, listing)
  const isOurs = ({ family, table }: { family: string; table: string }) => `${family} ${table}` === TABLE
  const names = listedChains(listing)
    .filter(isOurs)
    .map(({ name }) => name)
  if (names.length === 0) return [`nftables: there is no table ${TABLE}`]
  const there = listedRules(listing).filter(isOurs)
  return [...baseChains(rules)].flatMap(([name, ends]) => {
    if (!names.includes(name)) return [`nftables: there is no chain ${name}`]
    const found = there.filter(({ chain }) => chain === name).map(({ expressions }) => expressions.at(-1))
    return found.join() === ends.join()
      ? []
      : [`nftables: the rules of chain ${name} end in ${found.join()} instead of ${ends.join()}`]
  })
}

const [TABLE_FAMILY = ''] = TABLE.split(' ')

/** Bridges over which somebody is reached from 127.0.0.0/8. */
export async function loopbackBridgesNft(): Promise<Set<string>> {
  const listing = await runNft([`list set ${TABLE} loopback`], { json: true })
  if (!listing.ok && !isMissing(listing)) throw nftError(`listing table ${TABLE}`, listing)
  return new Set(listedKeys(listing).flatMap(key => /"(.*)"/.exec(key)?.[1] ?? []))
}
