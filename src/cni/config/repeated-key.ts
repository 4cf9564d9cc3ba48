/** Keys that stand twice in one object, which JSON.parse does not tell: the last would win unnoticed. */

// A string, one of the marks, or anything else up to the next.
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s"{}[\]:,]+/g

/**
 * A key that is twice in a member of a document.
 * @param text valid JSON
 * @param member of the document itself, in lower case; as in Go, whatever the case of its letters
 */
export function repeatedKey(text: string, member: string): string | undefined {
  const seen = new Set<string>()
  let depth = 0
  let name = ''
  let before = ''
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') depth++
    if (token === '}' || token === ']') depth--
    // Outside of strings a colon stands behind a key only.
    if (token === ':' && depth <= 2) {
      const key = JSON.parse(before) as string
      if (depth === 1) name = key.toLowerCase()
      else if (name === member) {
        if (seen.has(key)) return key
        seen.add(key)
      }
    }
    before = token
  }
  return undefined
}
