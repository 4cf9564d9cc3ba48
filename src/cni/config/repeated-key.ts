/** Keys that stand twice in one object, which JSON.parse does not tell: the last would win unnoticed. */

import { endOfString } from '../../model/json/json.ts'

/**
 * A key that is twice in a member of a document.
 * @param text valid JSON
 * @param member of the document itself, in lower case; as in Go, whatever the case of its letters
 */
export function repeatedKey(text: string, member: string): string | undefined {
  const seen = new Set<string>()
  let depth = 0
  let name = ''
  /** The string read last, quotes and all. */
  let word = ''
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]
    if (letter === '"') {
      const end = endOfString(text, at)
      // Deeper down nobody asks for keys.
      if (depth <= 2) word = text.slice(at, end + 1)
      at = end
    } else if (letter === '{' || letter === '[') depth++
    else if (letter === '}' || letter === ']') depth--
    // Outside of strings a colon stands behind a key only.
    else if (letter === ':' && depth <= 2) {
      const key = JSON.parse(word) as string
      if (depth === 1) name = key.toLowerCase()
      else if (name === member) {
        if (seen.has(key)) return key
        seen.add(key)
      }
    }
  }
  return undefined
}
