/** `--filter key=value`, as Docker has it: of one key any of its values, of several keys all of them. */

import { TsnetError } from '../../model/errors.ts'
import { shown } from '../../model/json/shown.ts'
import { didYouMean } from '../../model/nearest.ts'

type Test<T> = (item: T) => boolean

/** By key, what a value asks for. Each may throw TsnetError `invalid-environment` for a value that cannot be. */
export type Filters<T> = Record<string, (value: string) => Test<T>>

/** True of what passes all. @throws TsnetError `invalid-environment` naming the keys that there are */
export function readFilters<T>(filters: Filters<T>, words: readonly string[]): Test<T> {
  const byKey = new Map<string, Test<T>[]>()
  for (const word of words) {
    const { key, value } = parse(filters, word)
    byKey.set(key, [...(byKey.get(key) ?? []), (filters[key] as Filters<T>[string])(value)])
  }
  const all = [...byKey.values()]
  return item => all.every(any => any.some(test => test(item)))
}

function parse(filters: Filters<never>, word: string): { key: string; value: string } {
  const at = word.indexOf('=')
  const key = at < 0 ? word : word.slice(0, at)
  if (at >= 0 && Object.hasOwn(filters, key)) return { key, value: word.slice(at + 1) }
  const known = Object.keys(filters)
  throw new TsnetError(
    'invalid-environment',
    `--filter: ${shown(word)} is none of ${known.map(each => `${each}=…`).join(', ')}${didYouMean(key, known)}`,
  )
}

/** One of some words. @throws TsnetError `invalid-environment` */
export const oneOf =
  <T>(key: string, words: readonly string[], test: (item: T, word: string) => boolean) =>
  (value: string): Test<T> => {
    if (words.includes(value)) return item => test(item, value)
    throw new TsnetError(
      'invalid-environment',
      `--filter: ${key} is none of ${words.join(', ')}: ${shown(value)}${didYouMean(value, words)}`,
    )
  }

/** A port. @throws TsnetError `invalid-environment` */
export const portOf =
  <T>(key: string, test: (item: T, port: number) => boolean) =>
  (value: string): Test<T> => {
    const port = /^\d{1,5}$/.test(value) ? Number(value) : 0
    if (port > 0 && port <= 65_535) return item => test(item, port)
    throw new TsnetError('invalid-environment', `--filter: ${key} is no port: ${shown(value)}`)
  }
