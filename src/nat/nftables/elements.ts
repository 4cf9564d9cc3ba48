/**
 * Elements of our table as the kernel holds them, and those that are there.
 *
 * What an element is in words (document.ts), its set's type makes bytes of, and back.
 */

import type { ElementRun, SetElement } from '../../netfilter/elements.ts'
import { findElement, listElements, listSets } from '../../netfilter/list.ts'
import { keyBytes, keyText, keyType } from '../../netfilter/set-types.ts'
import type { Transaction } from '../../netfilter/transaction.ts'
import type { Netlink } from '../../netlink/netlink.ts'
import { commentOf } from '../rules.ts'
import { TABLE_REF as TABLE, typesOfSet } from './base.ts'
import { type Element, onePortEach } from './document.ts'

const NAMELESS = '__set'

const JUMP = 'jump '

/** Makes elements of one set what the kernel holds of them. */
function encoder(set: string, owner?: string): (element: Element) => ElementRun {
  const { type, data = '' } = typesOfSet(set)
  const mark = owner === undefined ? {} : { comment: commentOf(owner) }
  return ({ key, value, count }) => {
    const made: ElementRun = { key: keyBytes(type, key), ...mark }
    if (count !== undefined) made.count = count
    if (value?.startsWith(JUMP)) made.verdict = { code: 'jump', chain: value.slice(JUMP.length) }
    else if (value !== undefined) made.data = keyBytes(data, value)
    return made
  }
}

/** Adds elements to a transaction, which is refused where one is there already. */
export function createElements(tx: Transaction, elements: readonly Element[], owner: string): Transaction {
  for (const [set, own] of bySet(elements)) {
    tx.createElements(TABLE, set, own.map(encoder(set, owner)))
  }
  return tx
}

/** Adds elements that are nobody's own; those that are there already stay. */
export function addElements(tx: Transaction, elements: readonly Element[]): Transaction {
  for (const [set, own] of bySet(elements)) tx.addElements(TABLE, set, own.map(encoder(set)))
  return tx
}

/** Removes elements in a transaction, which is refused where one is not there. */
export function deleteElements(tx: Transaction, elements: readonly Element[]): Transaction {
  for (const [set, own] of bySet(elements)) tx.deleteElements(TABLE, set, own.map(encoder(set)))
  return tx
}

function bySet<E extends Element>(elements: readonly E[]): Map<string, E[]> {
  const sets = new Map<string, E[]>()
  for (const element of elements) {
    const own = sets.get(element.set) ?? []
    own.push(element)
    sets.set(element.set, own)
  }
  return sets
}

/** Those of an owner's elements, or of nobody's own, that are not in the kernel as they should be. */
export function absentElements(
  nl: Netlink,
  elements: readonly Element[],
  owner: string | undefined,
): Element[] {
  return elements.flatMap(onePortEach).filter(element => {
    const wanted = encoder(element.set, owner)(element)
    const found = findElement(nl, TABLE, element.set, wanted.key)
    return found === undefined || !isSame(found, wanted)
  })
}

const isSame = (found: SetElement, wanted: SetElement): boolean =>
  found.comment === wanted.comment &&
  found.verdict?.chain === wanted.verdict?.chain &&
  same(found.data, wanted.data)

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0

/**
 * Compares elements of many owners, one by one, with the kernel's: each set is listed once, however many there are.
 * @returns those that are not there, and those under whose keys something else stands
 */
export function compareElements<E extends Element & { owner?: string }>(
  nl: Netlink,
  wanted: readonly E[],
): { absent: E[]; wrong: E[] } {
  const absent: E[] = []
  const wrong: E[] = []
  for (const [set, own] of bySet(wanted)) {
    const held = new Map(listElements(nl, TABLE, set).map(each => [hexOf(each.key), each]))
    for (const element of own) {
      const made = encoder(set, element.owner)(element)
      const found = held.get(hexOf(made.key))
      if (found === undefined) absent.push(element)
      else if (!isSame(found, made)) wrong.push(element)
    }
  }
  return { absent, wrong }
}

const hexOf = (key: Uint8Array): string => Buffer.from(key).toString('hex')

/** Everything in the kernel that carries an owner's comment. */
export function elementsOfOwner(nl: Netlink, owner: string): Element[] {
  const sets = listSets(nl, { table: TABLE }).filter(({ name }) => !name.startsWith(NAMELESS))
  return sets.flatMap(({ name }) =>
    listElements(nl, TABLE, name)
      .filter(element => element.comment === commentOf(owner) && isReadable(name, element))
      .map(({ key }) => ({ set: name, key: keyText(typesOfSet(name).type, key) })),
  )
}

/** The owner tags that are in the table. */
export const listOwners = (nl: Netlink): string[] =>
  listElements(nl, TABLE, 'owners').flatMap(
    ({ comment }) => /^tsnet:([0-9a-f]{16})$/.exec(comment ?? '')?.[1] ?? [],
  )

/** Keys of a set, in words. */
export const listKeys = (nl: Netlink, set: string): string[] =>
  listElements(nl, TABLE, set)
    .filter(element => isReadable(set, element))
    .map(({ key }) => keyText(typesOfSet(set).type, key))

/** False in a table that somebody else has made under our name. */
const isReadable = (set: string, { key }: SetElement): boolean =>
  key.length === keyType(typesOfSet(set).type).size

/** The element that a transaction was refused for, in words. */
export function describeElement(set: string, { key }: SetElement): string {
  const text = keyText(typesOfSet(set).type, key)
  return set.startsWith('ports') || set.startsWith('open') ? `host port ${text}` : `${set} ${text}`
}
