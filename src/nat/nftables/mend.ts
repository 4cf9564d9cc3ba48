/**
 * Puts back what somebody took away of our table: all of it in one transaction, so no packet meets half of it.
 *
 *     look     what the kernel holds of the table and its elements, each set listed once
 *     mend     the base (its chains are emptied and filled again in the same transaction, and made anew where they are
 *              at another place), elements that are not there or are others, the guard against forwarding, accepts in
 *              FORWARD of iptables
 *
 * Our own installing and removing may go on meanwhile: where the kernel refuses an element, it is looked again.
 */

import type { Family } from '../../model/address/address.ts'
import { addCommands } from '../../netfilter/commands.ts'
import { findSet, hasTable } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { denied, isMissing, isTaken } from '../../netfilter/refusal.ts'
import { Transaction } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { type Hold, type Loss, losersOf } from '../loss.ts'
import type { Rules } from '../rules.ts'
import { subnetsOf, TABLE_REF } from './base.ts'
import { type BrokenBase, brokenBase } from './base-check.ts'
import { addBase } from './base-messages.ts'
import { closing, type Element, elementsOf, elementText, onePortEach } from './document.ts'
import { addElements, compareElements, createElements, deleteElements } from './elements.ts'
import { type LostAccepts, lostForwardAccepts } from './forward-accept.ts'

const ATTEMPTS = 10

/** True where our table is gone. */
export const isGoneNft = (): boolean => !hasTable(netfilterHere(), TABLE_REF)

type OfOwner = Element & { owner: string }

interface Damage {
  losses: Loss[]
  /** The shared chains are not as they should be. */
  base: boolean
  /** Those that have to go first. */
  misplaced: string[]
  absent: OfOwner[]
  /** Under their keys something else stands. */
  wrong: OfOwner[]
  /** Families whose guard against forwarding of others is not there. */
  open: Family[]
  accepts: LostAccepts[]
}

/**
 * Finds what is lacking of all these rules, and puts it back.
 * @param closed families in which the host forwards for our containers alone
 * @param hold absent: nothing is changed
 * @returns what was lacking
 * @throws TsnetError `kernel`, `missing`
 */
export async function mendNft(
  all: readonly Rules[],
  closed: readonly Family[],
  hold?: Hold,
): Promise<Loss[]> {
  const nl = netfilterHere()
  const found: Loss[] = []
  for (let attempt = 1; ; attempt++) {
    const damage = look(nl, all, closed)
    if (attempt === 1) found.push(...damage.losses)
    if (damage.losses.length === 0 || hold === undefined) return found
    const denial = repair(nl, all, damage, hold(losersOf(damage.losses)))
    if (denial === undefined) return found
    const isRace = isMissing(denial) || isTaken(denial)
    if (!isRace || attempt === ATTEMPTS) throw denied('putting rules back', denial)
  }
}

function look(nl: Netlink, all: readonly Rules[], closed: readonly Family[]): Damage {
  const broken: BrokenBase = all.length === 0 ? { what: [], misplaced: [] } : brokenBase(nl, together(all))
  const wanted = all.flatMap(rules =>
    elementsOf(rules)
      .flatMap(onePortEach)
      .map(element => ({ ...element, owner: rules.owner })),
  )
  const { absent, wrong } = compareElements(nl, wanted)
  const open = closed.filter(family => isOpen(nl, family))
  const accepts = lostForwardAccepts(all)
  return {
    base: broken.what.length > 0 || (open.length > 0 && findSet(nl, TABLE_REF, 'closed') === undefined),
    misplaced: broken.misplaced,
    absent,
    wrong,
    open,
    accepts,
    losses: [
      ...broken.what.map(what => ({ what })),
      ...open.map(family => ({ what: `nftables: the host forwards IPv${family} for others too` })),
      ...[...absent, ...wrong].map(element => ({
        what: `nftables: ${element.set} lacks ${elementText(element, element.owner)}`,
        owner: element.owner,
      })),
      ...accepts.map(({ commands: _, ...loss }) => loss),
    ],
  }
}

/** Rules of all as far as the table depends on them: the subnets in use, each once. */
function together(all: readonly Rules[]): Pick<Rules, 'families'> {
  const families = all.flatMap(each => each.families)
  const known = new Set<string>()
  return {
    families: families.flatMap(part =>
      part.addresses.flatMap(address => {
        const subnets = subnetsOf({ families: [{ ...part, addresses: [address] }] })
        const names = subnets.map(({ family, length }) => `${family}/${length}`)
        if (names.every(name => known.has(name))) return []
        for (const name of names) known.add(name)
        return [{ ...part, addresses: [address] }]
      }),
    ),
  }
}

const isOpen = (nl: Netlink, family: Family): boolean =>
  compareElements(nl, [closing(family)]).absent.length > 0

function repair(nl: Netlink, all: readonly Rules[], damage: Damage, may: ReadonlySet<string>) {
  const isAllowed = ({ owner }: { owner?: string | undefined }): boolean =>
    owner === undefined || may.has(owner)
  const tx = new Transaction()
  for (const name of damage.misplaced) tx.deleteChain(TABLE_REF, name)
  if (damage.base) addBase(tx, together(all))
  deleteElements(tx, damage.base ? [] : damage.wrong.filter(isAllowed))
  const lacking = new Map<string, OfOwner[]>(all.map(({ owner }) => [owner, []]))
  for (const element of [...damage.absent, ...damage.wrong]) lacking.get(element.owner)?.push(element)
  for (const [owner, elements] of lacking) if (may.has(owner)) createElements(tx, elements, owner)
  addElements(tx, damage.open.map(closing))
  addCommands(
    tx,
    damage.accepts.filter(isAllowed).flatMap(({ commands }) => commands),
  )
  return tx.commit(nl)
}
