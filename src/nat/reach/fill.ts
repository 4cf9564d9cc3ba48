/**
 * Puts addresses of names into lists, one transaction for an answer.
 *
 * What is there with a minute to spare is not put in again: what we put in is remembered, as long as nobody else changes
 * the rule set, and until the list is made anew. What is new is created, in 30 µs. A kernel before 6.12 leaves the time of an
 * element that is there as it was, so that one is added, deleted and added again, which takes five times as long: packets see one
 * change, from there to there.
 */

import type { SetElement } from '../../netfilter/elements.ts'
import { generation, isOnlyOurs } from '../../netfilter/generations.ts'
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

/** To be told where a list is made or removed. */
export const forgetFilled = (owner: string): void => void memories.delete(owner)

/**
 * Adds what a name was told to have to an owner's list, or has it stay on.
 * @throws TsnetError `kernel`: the list is not there, or full
 */
export function fillReach(
  owner: string,
  { elements, lastsS }: Pick<NamedEntries, 'elements' | 'lastsS'>,
): void {
  if (elements.length === 0) return
  const nl = netfilterHere()
  const number = generation(nl)
  const memory = memoryOf(owner, then => isOnlyOurs(nl, then, number))
  const now = performance.now()
  const named = elements.map(([set, element]) => ({
    set: `${set}-${owner}`,
    element,
    text: `${set} ${Buffer.from(element.key).toString('latin1')}`,
  }))
  const lacking = named.filter(({ text }) => (memory.until.get(text) ?? 0) < now + 1_000 * lastsS)
  if (lacking.length > 0) {
    const mayBeThere = lacking.some(({ text }) => memory.until.has(text))
    const created = mayBeThere ? undefined : put(nl, lacking, 'created')
    const denial = mayBeThere || created?.code === 'EEXIST' ? put(nl, lacking, 'renewed') : created
    if (denial !== undefined) {
      memories.delete(owner)
      throw denied('the addresses of a name that a container may reach', denial)
    }
    for (const { text, element } of lacking) memory.until.set(text, now + 1_000 * (element.timeoutS ?? 0))
  }
  memory.generation = number
  memories.set(owner, memory)
}

function put(
  nl: Netlink,
  entries: readonly { set: string; element: SetElement }[],
  how: 'created' | 'renewed',
): Denial | undefined {
  const tx = new Transaction()
  for (const set of new Set(entries.map(each => each.set))) {
    const own = entries.filter(each => each.set === set).map(({ element }) => element)
    if (how === 'created') tx.createElements(ROUTED, set, own)
    else tx.addElements(ROUTED, set, own).deleteElements(ROUTED, set, own).addElements(ROUTED, set, own)
  }
  return tx.commit(nl)
}

function memoryOf(owner: string, isCurrent: (generation: number) => boolean): Memory {
  const memory = memories.get(owner)
  const isKept = memory !== undefined && memory.until.size < REMEMBERED_MAX && isCurrent(memory.generation)
  return isKept ? memory : { generation: 0, until: new Map() }
}
