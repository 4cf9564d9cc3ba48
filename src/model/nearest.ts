/** "Did you mean": what somebody may have wanted to write. The only file that knows leven. */

import { closestMatch } from 'leven'

/** A word of so many letters for each letter that is wrong. */
const LETTERS_PER_MISTAKE = 3
const MAX_MISTAKES = 3

/** The candidate that differs least, whatever its case; undefined where none is near. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const maxDistance = Math.min(MAX_MISTAKES, Math.floor(word.length / LETTERS_PER_MISTAKE))
  const lower = candidates.map(each => each.toLowerCase())
  const found = closestMatch(word.toLowerCase(), lower, { maxDistance })
  return found === undefined ? undefined : candidates[lower.indexOf(found)]
}

/** `; did you mean "web"?`, or nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const near = nearest(word, candidates)
  return near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`
}
