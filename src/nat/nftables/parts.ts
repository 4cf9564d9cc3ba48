/** A change of more elements than a socket takes at once. */

import { hasCode } from '../../model/errors.ts'
import type { Denial } from '../../netfilter/refusal.ts'

/** How many go in one transaction then. A socket takes 200 KB at least, and an element has 80 bytes. */
const PART = 2000

/**
 * Changes all elements at once, or part by part where the socket does not take so much.
 * @param change is told whether its part is the last
 * @param undo takes a part back when a later one is refused
 * @param apart makes a range of elements single ones
 * @returns what was refused first; undefined where all is done
 */
export function inParts<T>(
  ranges: readonly T[],
  change: (part: readonly T[], isLast: boolean) => Denial | undefined,
  undo: (part: readonly T[]) => void,
  apart: (range: T) => readonly T[],
): Denial | undefined {
  let elements: readonly T[]
  try {
    return change(ranges, true)
  } catch (thrown) {
    elements = hasCode(thrown, 'EMSGSIZE') ? ranges.flatMap(apart) : []
    if (elements.length <= PART) throw thrown
  }
  for (let from = 0; from < elements.length; from += PART) {
    const denial = change(elements.slice(from, from + PART), from + PART >= elements.length)
    if (denial === undefined) continue
    for (let at = from - PART; at >= 0; at -= PART) undo(elements.slice(at, at + PART))
    return denial
  }
  return undefined
}
