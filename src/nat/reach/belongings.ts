/**
 * What is of a list beside its chain, as the chain's comment says it: so it is found beside a thousand others, where the kernel
 * would look for each set among those of all.
 */

import { present } from '../../model/present.ts'
import { keyBytes } from '../../netfilter/set-types.ts'

/** nft takes no longer one. */
const COMMENT_MAX = 128
/** Behind the name of a set, before the owner. */
const DASH = '-'

export interface Belongings<Key> {
  /** Which lead to it. */
  keys: Key[]
  /** Names of its sets. */
  sets: string[]
  /** Of its names (counters.ts). */
  digest?: string
}

/** @param keys as nft writes them @returns undefined for more than a comment holds */
export function belongingsText({ keys, sets, digest }: Belongings<string>): string | undefined {
  const kinds = sets.map(name => name.slice(0, name.indexOf(DASH)))
  const text = [keys.join(', '), kinds.join(' '), ...(digest === undefined ? [] : [digest])].join('; ')
  return text.length > COMMENT_MAX ? undefined : text
}

/**
 * @param type of the keys
 * @param names of sets that such a list may have
 * @returns undefined where the comment does not say it
 */
export function belongingsIn(
  comment: string | undefined,
  type: string,
  names: readonly string[],
): Belongings<Uint8Array> | undefined {
  const [keys, sets, digest] = comment?.split('; ') ?? []
  if (keys === undefined || sets === undefined) return undefined
  try {
    const said = sets.split(' ')
    return {
      keys: keys.split(', ').map(text => keyBytes(type, text)),
      sets: names.filter(name => said.includes(name.slice(0, name.indexOf(DASH)))),
      ...present({ digest }),
    }
  } catch {
    return undefined
  }
}
