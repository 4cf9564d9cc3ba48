/** Keys that stand twice in one object, which JSON.parse does not tell: the last would win unnoticed. */

import { endOfString } from '../../model/json/json.ts'

export interface RepeatedKey {
  /** Of the object: `plugins[0].sysctl`; empty for the document itself. */
  path: string
  key: string
}

interface Level {
  path: string
  /** Of all objects of this path, since Go puts two of one name into one map; undefined: a list. */
  keys: Set<string> | undefined
  /** The member or the item that is being read. */
  key: string
  index: number
}

/**
 * Every key that is there more than once, as often as it is there again.
 * @param text valid JSON
 */
export function repeatedKeys(text: string): RepeatedKey[] {
  const found: RepeatedKey[] = []
  const levels: Level[] = []
  const known = new Map<string, Set<string>>()
  const keysAt = (path: string): Set<string> => {
    const keys = known.get(path.toLowerCase()) ?? new Set()
    known.set(path.toLowerCase(), keys)
    return keys
  }
  /** The string read last, quotes and all. */
  let word = ''
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]
    const level = levels.at(-1)
    if (letter === '"') {
      const end = endOfString(text, at)
      word = text.slice(at, end + 1)
      at = end
    } else if (letter === '{' || letter === '[') {
      const path = level === undefined ? '' : pathIn(level)
      levels.push({ path, keys: letter === '{' ? keysAt(path) : undefined, key: '', index: 0 })
    } else if (letter === '}' || letter === ']') levels.pop()
    else if (letter === ',' && level !== undefined) level.index++
    // Outside of strings a colon stands behind a key only.
    else if (letter === ':' && level?.keys !== undefined) {
      level.key = JSON.parse(word) as string
      if (level.keys.has(level.key)) found.push({ path: level.path, key: level.key })
      level.keys.add(level.key)
    }
  }
  return found
}

function pathIn({ path, keys, key, index }: Level): string {
  if (keys === undefined) return `${path}[${index}]`
  return path === '' ? key : `${path}.${key}`
}

/**
 * A key that is twice in a member of a document.
 * @param text valid JSON
 * @param member of the document itself, in lower case; as in Go, whatever the case of its letters
 */
export const repeatedKey = (text: string, member: string): string | undefined =>
  repeatedKeys(text).find(({ path }) => path.toLowerCase() === member)?.key
