/**
 * Puts addresses of names into lists: what several names bring at once, for whichever lists, in one transaction, since one
 * of sixty addresses takes little longer than one of one. Where it is refused, each name has its own, so that a list that
 * is gone or full concerns nobody else.
 *
 * What is there with a minute to spare is not put in again: what we put in is remembered, as long as nobody else changes
 * the rule set, and until the list is made anew. What is new is created, in 30 µs. A kernel before 6.12 leaves the time of an
 * element that is there as it was, and none gives it another counter, so that one is looked for, deleted and created, which takes five
 * times as long: packets see one change, from there to there.
 */

import type { TsnetError } from '../../model/errors.ts'
import type { SetElement } from '../../netfilter/elements.ts'
import { generation, isOnlyOurs } from '../../netfilter/generations.ts'
import { findElement } from '../../netfilter/list.ts'
import { netfilterHere } from '../../netfilter/netfilter.ts'
import { type Denial, denied } from '../../netfilter/refusal.ts'
import { Transaction } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import type { NamedEntries } from './names.ts'
import { ROUTED } from './plan.ts'

/** What is in a list by us: when each goes, as performance.now() has it. */
interface Memory {
  generation: number
  until: Map<string, number>
}

const memories = new Map<string, Memory>()
/** Of one list; more are put in again. */
const REMEMBERED_MAX = 16_384
/** What several answers bring; one may bring more. */
const ELEMENTS_AT_ONCE = 4_096

/** To be told where a list is made or removed. */
export const forgetFilled = (owner: string): void => void memories.delete(owner)

/** What a name was told to have, for an owner's list. */
export interface Fill extends Pick<NamedEntries, 'elements' | 'lastsS'> {
  owner: string
}

/**
 * Adds what names were told to have to lists, or has it stay on.
 * @returns those that were refused, and why: the list is not there, or full
 */
export function fillReach<F extends Fill>(fills: readonly F[]): Map<F, TsnetError> {
  const refused = new Map<F, TsnetError>()
  for (let from = 0; from < fills.length; ) {
    let [to, count] = [from, 0]
    do count += fills[to++]?.elements.length ?? 0
    while (to < fills.length && count + (fills[to]?.elements.length ?? 0) <= ELEMENTS_AT_ONCE)
    for (const [fill, why] of fillTogether(fills.slice(from, to))) refused.set(fill, why)
    from = to
  }
  return refused
}

/** What is put in of one list's sets. */
interface Lacking {
  owner: string
  set: string
  element: SetElement
  /** Of the list's memory. */
  text: string
}

function fillTogether<F extends Fill>(fills: readonly F[]): [F, TsnetError][] {
  const nl = netfilterHere()
  const number = generation(nl)
  const now = performance.now()
  for (const { owner } of fills) remember(owner, number, then => isOnlyOurs(nl, then, number))
  const lacking = lackingOf(fills, now)
  const isRemembered = ({ owner, text }: Lacking) => memories.get(owner)?.until.has(text) === true
  const denial = put(nl, lacking, isRemembered)
  if ((isStale(denial) ? put(nl, lacking, () => true) : denial) === undefined) {
    keep(lacking, now)
    return []
  }
  return fills.flatMap((fill): [F, TsnetError][] => {
    const own = lackingOf([fill], now)
    const denial = put(nl, own, () => true)
    if (denial !== undefined)
      return [[fill, denied('the addresses of a name that a container may reach', denial)]]
    keep(own, now)
    return []
  })
}

/** What is not there yet, or not for long enough. */
function lackingOf(fills: readonly Fill[], now: number): Lacking[] {
  const all = new Map<string, Lacking>()
  for (const { owner, elements, lastsS } of fills) {
    const until = memories.get(owner)?.until
    for (const [set, element] of elements) {
      const text = `${set} ${String.fromCharCode(...element.key)}`
      if ((until?.get(text) ?? 0) >= now + 1_000 * lastsS) continue
      // Twice in a transaction it would be refused: what lasts longer counts.
      const other = all.get(owner + text)
      if (other === undefined || (other.element.timeoutS ?? 0) < (element.timeoutS ?? 0))
        all.set(owner + text, { owner, set: `${set}-${owner}`, element, text })
    }
  }
  return [...all.values()]
}

function keep(lacking: readonly Lacking[], now: number): void {
  for (const { owner, text, element } of lacking)
    memories.get(owner)?.until.set(text, now + 1_000 * (element.timeoutS ?? 0))
}

/** What was there has gone, or has come, between the look and the change. */
const isStale = (denial: Denial | undefined): boolean =>
  denial !== undefined && ['EEXIST', 'ENOENT', 'EBUSY'].includes(denial.code)

function put(
  nl: Netlink,
  lacking: readonly Lacking[],
  mayBeThere: (each: Lacking) => boolean,
): Denial | undefined {
  const sets = new Map<string, { created: SetElement[]; renewed: SetElement[] }>()
  for (const each of lacking) {
    const of = sets.get(each.set) ?? { created: [], renewed: [] }
    sets.set(each.set, of)
    of[mayBeThere(each) ? 'renewed' : 'created'].push(each.element)
  }
  const tx = new Transaction()
  for (const [set, { created, renewed }] of sets) {
    const there = renewed.filter(({ key }) => findElement(nl, ROUTED, set, key) !== undefined)
    if (there.length > 0) tx.deleteElements(ROUTED, set, there)
    tx.createElements(ROUTED, set, [...created, ...renewed])
  }
  return tx.commit(nl)
}

/** As long as nobody else changes the rule set. */
function remember(owner: string, number: number, isCurrent: (then: number) => boolean): void {
  const memory = memories.get(owner)
  const isKept = memory !== undefined && memory.until.size < REMEMBERED_MAX && isCurrent(memory.generation)
  memories.set(owner, { generation: number, until: isKept ? memory.until : new Map() })
}
