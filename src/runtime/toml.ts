/**
 * TOML, in which containerd and containers/storage are configured; the only file that knows smol-toml.
 *
 * A file that is not there, or no TOML, says nothing: its own program would not start with it.
 */

import { readFileSync, statSync } from 'node:fs'
import { parse } from 'smol-toml'

/** Tables, lists, texts, numbers. */
export type Toml = Record<string, unknown>

/** By path; a daemon looks again and again. */
const known = new Map<string, { stamp: string; toml: Toml | undefined }>()

export function readToml(path: string): Toml | undefined {
  try {
    const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true })
    const stamp = [dev, ino, size, mtimeNs].join()
    const earlier = known.get(path)
    if (earlier?.stamp === stamp) return earlier.toml
    known.set(path, { stamp, toml: undefined })
    const toml = parse(withoutComments(readFileSync(path, 'utf8')))
    known.set(path, { stamp, toml })
    return toml
  } catch {
    return undefined
  }
}

/**
 * Without the lines that are comments, which a configuration that came with its program consists of: looked at character by
 * character, 24 KB of them are enough for V8 to make machine code of the loop, and its compiler is 4 MB of a daemon's memory.
 */
const withoutComments = (text: string): string =>
  // Only in texts of several lines such a line may be text.
  /"""|'''/.test(text) ? text : text.replace(/^[ \t]*#.*$/gm, '')

/** The value at a path of keys. */
const valueAt = (toml: unknown, [key, ...more]: readonly string[]): unknown => {
  if (key === undefined) return toml
  if (typeof toml !== 'object' || toml === null || !Object.hasOwn(toml, key)) return undefined
  return valueAt((toml as Toml)[key], more)
}

/** A text that is not empty. */
export function textAt(toml: Toml | undefined, ...keys: string[]): string | undefined {
  const value = valueAt(toml, keys)
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** The texts of a list; of one text a list. */
export function textsAt(toml: Toml | undefined, ...keys: string[]): string[] {
  return [valueAt(toml, keys)]
    .flat()
    .filter((each): each is string => typeof each === 'string' && each !== '')
}

export function flagAt(toml: Toml | undefined, ...keys: string[]): boolean | undefined {
  const value = valueAt(toml, keys)
  return typeof value === 'boolean' ? value : undefined
}

/** The keys of a table. */
export function keysAt(toml: Toml | undefined, ...keys: string[]): string[] {
  const value = valueAt(toml, keys)
  return typeof value === 'object' && value !== null ? Object.keys(value) : []
}
