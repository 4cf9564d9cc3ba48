/**
 * The nftables backend: one transaction adds all that an attachment needs, one takes it away.
 *
 *     install    create its elements; where the table is missing, that first, in the same transaction
 *     withdraw   delete its elements; where they are not all there, those that are
 *
 * The kernel refuses an element that exists, so two attachments cannot have one host port.
 *
 * What does not fit into the socket at once (in a user namespace, some thousand ports) goes in several
 * transactions: the first has the owner, and what was done by then goes with it.
 */

import type { Family } from '../../model/address/address.ts'
import { TsnetError } from '../../model/errors.ts'
import { addCommands, transactionOf } from '../../netfilter/commands.ts'
import { findElement, findSet, usesOfChain } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { type Denial, denied, isBusy, isMissing, isTaken } from '../../netfilter/refusal.ts'
import { Transaction } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { commentOf, type Rules } from '../rules.ts'
import { baseDocument, deleteTable, IN_USE, TABLE, TABLE_REF } from './base.ts'
import { brokenBase } from './base-check.ts'
import { addBase } from './base-messages.ts'
import {
  createText,
  type Element,
  elementsOf,
  elementText,
  isPortElement,
  onePortEach,
  portElementsOf,
} from './document.ts'
import {
  absentElements,
  createElements,
  deleteElements,
  describeElement,
  elementsOfOwner,
  listKeys,
  listOwners,
} from './elements.ts'
import {
  deleteUnusedChains,
  forwardAccepts,
  forwardRemovals,
  lostForwardAccepts,
  openForwardChains,
} from './forward-accept.ts'
import { inParts } from './parts.ts'

/** What our table always has. */
const OWNERS = 'owners'

/** How often a change is tried again when others change the shared parts at the same time. */
const ATTEMPTS = 10

/**
 * @param first false: others have rules, as far as one knows, so the table is there
 * @throws TsnetError `conflict`, `missing`, `kernel`
 */
export async function installNft(rules: Rules, { first = true }: { first?: boolean } = {}): Promise<void> {
  const nl = netfilterHere()
  const isThere = !first || isTableThere(nl)
  const elements = elementsOf(rules)
  for (let attempt = 1; ; attempt++) {
    const accepts = forwardAccepts(rules, openForwardChains(rules))
    const denial = inParts(
      elements,
      (part, isLast) => create(nl, rules, part, { isThere, accepts: isLast ? accepts : [] }),
      part => void deleteElements(new Transaction(), part).commit(nl),
      onePortEach,
    )
    if (denial === undefined) return
    if (isTaken(denial)) throw conflict(nl, rules, denial)
    // The chain that accepts go to was removed by somebody who was the last to use it.
    if (!isMissing(denial) || attempt === ATTEMPTS) throw denied(`rules of ${commentOf(rules.owner)}`, denial)
  }
}

/**
 * Asked before what would be refused without it: over a transaction that it refuses, the kernel waits for a grace
 * period of RCU, 15 ms and more.
 */
const isTableThere = (nl: Netlink): boolean => findSet(nl, TABLE_REF, OWNERS) !== undefined

/** Creates elements in one transaction, together with the table where that is missing. */
function create(
  nl: Netlink,
  rules: Rules,
  elements: readonly Element[],
  { isThere, accepts }: { isThere: boolean; accepts: readonly string[] },
): Denial | undefined {
  const commit = (tx: Transaction) =>
    addCommands(createElements(tx, elements, rules.owner), accepts).commit(nl)
  const denial = commit(isThere ? new Transaction() : addBase(new Transaction(), rules))
  return isThere && isMissing(denial) ? commit(addBase(new Transaction(), rules)) : denial
}

/** @throws TsnetError `missing`, `kernel` */
export async function withdrawNft(
  owner: string,
  { rules, last }: { rules?: Rules; last: boolean; guards?: readonly Family[] },
): Promise<void> {
  const nl = netfilterHere()
  for (let attempt = 1; ; attempt++) {
    const elements = rules !== undefined && attempt === 1 ? elementsOf(rules) : elementsOfOwner(nl, owner)
    const accepts = forwardRemovals(owner, rules?.families)
    const remove = (part: readonly Element[], isLast: boolean, more: readonly string[]) =>
      addCommands(deleteElements(new Transaction(), part), [
        ...(isLast ? accepts.commands : []),
        ...more,
      ]).commit(nl)
    const removeAll = (more: readonly string[]) =>
      inParts(
        elements,
        (part, isLast) => remove(part, isLast, isLast ? more : []),
        () => {}, // What is gone is gone; the rest is looked for.
        onePortEach,
      )
    let denial = removeAll(last && isTableThere(nl) ? deleteTable : [])
    // Somebody else is there, or the table is gone already.
    if (last && denial !== undefined) denial = removeAll([])
    if (denial === undefined) return deleteUnusedChains(accepts.chains)
    // Whatever is wrong with what should be there, what is there can be removed.
    const isLooking = attempt > 1 || rules === undefined
    if ((isLooking && !isMissing(denial)) || attempt === ATTEMPTS) {
      throw denied(`removing ${commentOf(owner)}`, denial)
    }
  }
}

/**
 * Deletes an owner's port elements and creates those of its heirs, in one transaction.
 * @throws TsnetError `kernel`
 */
export async function handOverNft(owner: string | undefined, heirs: readonly Rules[]): Promise<void> {
  const nl = netfilterHere()
  for (let attempt = 1; ; attempt++) {
    const gone = owner === undefined ? [] : elementsOfOwner(nl, owner).filter(isPortElement)
    const tx = deleteElements(new Transaction(), gone)
    for (const heir of heirs) {
      // Whoever did this before may have been killed before it could say so.
      const there = new Set(elementsOfOwner(nl, heir.owner).map(({ set, key }) => `${set} ${key}`))
      createElements(
        tx,
        portElementsOf(heir)
          .flatMap(onePortEach)
          .filter(({ set, key }) => !there.has(`${set} ${key}`)),
        heir.owner,
      )
    }
    const denial = tx.commit(nl)
    if (denial === undefined) return
    const isRace = isMissing(denial) || isTaken(denial)
    if (!isRace || attempt === ATTEMPTS) throw denied('handing over published ports', denial)
  }
}

/** Deletes the table unless somebody uses it. */
export function deleteUnusedTable(): void {
  const nl = netfilterHere()
  const isUsed = () => usesOfChain(nl, TABLE_REF, IN_USE) > 0 || listKeys(nl, 'closed').length > 0
  if (!isTableThere(nl) || isUsed()) return
  const denial = transactionOf(deleteTable).commit(nl)
  if (denial !== undefined && !isBusy(denial) && !isMissing(denial))
    throw denied(`deleting table ${TABLE}`, denial)
}

/** Who has what was to be created. */
function conflict(nl: Netlink, rules: Rules, { set, element }: Denial): TsnetError {
  if (set === undefined || element === undefined) {
    return new TsnetError('conflict', `nftables: rules of ${commentOf(rules.owner)} collide with others`)
  }
  const comment = findElement(nl, TABLE_REF, set, element.key)?.comment ?? ''
  const holder = /^tsnet:[0-9a-f]{16}$/.test(comment) ? comment : 'somebody'
  return new TsnetError(
    'conflict',
    `nftables: ${describeElement(set, element)} has rules of ${holder} already`,
  )
}

export const ownersNft = async (): Promise<string[]> => listOwners(netfilterHere())

export function describeNft(rules: Rules): string {
  const elements = createText(elementsOf(rules), rules.owner)
  return `${[...baseDocument(rules), '', `# what ${commentOf(rules.owner)} has in them`, ...elements].join('\n')}\n`
}

export async function verifyNft(rules: Rules): Promise<string[]> {
  const nl = netfilterHere()
  return [
    ...absentElements(nl, elementsOf(rules), rules.owner).map(
      element => `nftables: ${element.set} lacks ${elementText(element, rules.owner)}`,
    ),
    ...brokenBase(nl, rules).what,
    ...lostForwardAccepts([rules]).map(({ what }) => what),
  ]
}

/** Bridges over which somebody is reached from 127.0.0.0/8. */
export const loopbackBridgesNft = async (): Promise<Set<string>> =>
  new Set(listKeys(netfilterHere(), 'loopback').flatMap(key => /"(.*)"/.exec(key)?.[1] ?? []))
