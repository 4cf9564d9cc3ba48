/** Names that a list of permissions has: one (`example.org`), or all below one (`*.example.org`). */

import { isHostName } from './host-name.ts'

/** Lower case, without a dot at the end. */
export type NamePattern = string & { readonly namePattern: unique symbol }

const ALL_BELOW = '*.'

/** A pattern; what is wrong with it, to be said behind its text; undefined for what was not meant as one. */
export function readNamePattern(text: string): NamePattern | { problem: string } | undefined {
  if (/[:/]/.test(text)) return undefined
  const name = text.toLowerCase().replace(/\.$/, '')
  if (name === '*')
    return {
      problem:
        'is every name: that is no list. Allow 0.0.0.0/0 and ::/0, or say what is below: *.example.org',
    }
  const bare = name.startsWith(ALL_BELOW) ? name.slice(ALL_BELOW.length) : name
  if (bare.includes('*'))
    return {
      problem:
        'has a * that is not the whole of its first label: *.example.org is all names below example.org',
    }
  if (/[^\0-\x7f]/.test(bare))
    return { problem: 'has letters that DNS knows in their coded form alone: xn--…' }
  // Numbers in all places, or in the last: an address that was mistyped.
  if (!isHostName(bare) || /(^|\.)\d+$/.test(bare)) return undefined
  if (bare === name && !name.includes('.'))
    return {
      problem:
        'is one word: a name has a dot in it, as example.org; containers are allowed by their addresses',
    }
  return name as NamePattern
}

/** What is said of names, found by a name as quickly in ten thousand patterns as in ten. */
export class NameIndex<T> {
  readonly #exact = new Map<string, T[]>()
  /** By what a name ends in, without the dot before it. */
  readonly #below = new Map<string, T[]>()

  constructor(entries: Iterable<readonly [NamePattern, T]>) {
    for (const [pattern, value] of entries) {
      const [map, key] = pattern.startsWith(ALL_BELOW)
        ? [this.#below, pattern.slice(ALL_BELOW.length)]
        : [this.#exact, pattern as string]
      const there = map.get(key)
      if (there === undefined) map.set(key, [value])
      else there.push(value)
    }
  }

  /** Whether find would find anything. */
  has(name: string): boolean {
    if (this.#exact.has(name)) return true
    if (this.#below.size === 0) return false
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
      if (this.#below.has(name.slice(dot + 1))) return true
    return false
  }

  /** @param name lower case, without a dot at the end */
  find(name: string): T[] {
    const found = [...(this.#exact.get(name) ?? [])]
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
      found.push(...(this.#below.get(name.slice(dot + 1)) ?? []))
    return found
  }
}
