/** JSON documents: samples with a value in another's place, with other keys, too deep, and with their text damaged. */

import fc from 'fast-check'
import type { Subject } from './fuzz.ts'
import { outcomeOf, type Refusals } from './promises.ts'
import { damagedTexts, longTexts } from './texts.ts'

const KEYS = ['__proto__', 'constructor', 'toString', 'valueOf', 'length', 'hasOwnProperty', '']

const NUMBERS = [
  '1e999',
  '-1e999',
  '9007199254740993',
  '4294967296',
  '-0',
  '0.1',
  '1e-400',
  '65536',
  '2147483648',
]

/** Values that look like others, or break what makes texts or numbers of them. */
const ODD: unknown[] = [
  ...[null, true, false, 0, -1, 1.5, 1e21, '', ' ', '\0', '\ud800', '0', '1', '\u0130', '../x', 'a\nb'],
  ...[[], {}, [[]], [null], { length: 1 }, { toString: 1 }, { valueOf: null, toString: null }],
  ...[{ toJSON: 1 }, [{ toString: 1 }], { 0: 'a', length: 1 }, 'x'.repeat(300)],
]

/** A number that JSON has and JavaScript cannot say, in place of a text that nobody else would write. */
const NUMBER = /"\u2620(\d+)"/g
const spelled = (text: string): string => text.replace(NUMBER, (_, which) => NUMBERS[Number(which)] ?? '0')

type Path = readonly (string | number)[]

function placesOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  return [path, ...Object.entries(value).flatMap(([key, member]) => placesOf(member, [...path, key]))]
}

function put(whole: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value
  const copy = (Array.isArray(whole) ? [...whole] : { ...(whole as object) }) as Record<
    string | number,
    unknown
  >
  if (Array.isArray(copy) && key === 'length') return copy
  // Assigned, `__proto__` would be no key.
  Object.defineProperty(copy, key, {
    value: put(copy[key], rest, value),
    enumerable: true,
    configurable: true,
    writable: true,
  })
  return copy
}

const leavesOf = (value: unknown): unknown[] =>
  typeof value === 'object' && value !== null ? Object.values(value).flatMap(leavesOf) : [value]

const keysOf = (value: unknown): string[] => {
  if (typeof value !== 'object' || value === null) return []
  const own = Array.isArray(value) ? [] : Object.keys(value)
  return [...own, ...Object.values(value).flatMap(keysOf)]
}

/** Documents as values. */
export function values(samples: readonly unknown[]): fc.Arbitrary<unknown> {
  const keys = [...new Set([...samples.flatMap(keysOf), ...KEYS])]
  const leaves = [...new Set(samples.flatMap(leavesOf))]
  const { any } = fc.letrec<{ any: unknown; leaf: unknown }>(tie => ({
    leaf: fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...leaves) },
      { weight: 3, arbitrary: fc.constantFrom(...ODD) },
      fc.nat(NUMBERS.length - 1).map(which => `\u2620${which}`),
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.double(),
      fc.integer(),
    ),
    any: fc.oneof(
      { depthSize: 'small' },
      { weight: 4, arbitrary: tie('leaf') },
      { weight: 1, arbitrary: fc.array(tie('any'), { maxLength: 3 }) },
      {
        weight: 2,
        arbitrary: fc.dictionary(fc.constantFrom(...keys), tie('any'), { maxKeys: 5, noNullPrototype: true }),
      },
    ),
  }))
  const replaced = fc
    .tuple(
      fc.constantFrom(...samples),
      fc.array(fc.tuple(fc.nat(100_000), any), { minLength: 1, maxLength: 3 }),
    )
    .map(([sample, changes]) =>
      changes.reduce((whole, [n, value]) => {
        const places = placesOf(whole)
        return put(whole, places[n % places.length] ?? [], value)
      }, sample),
    )
  const extended = fc
    .tuple(fc.constantFrom(...samples), fc.constantFrom(...keys), any)
    .map(([sample, key, value]) =>
      typeof sample === 'object' && sample !== null ? put(sample, [key], value) : value,
    )
  return fc.oneof(
    { weight: 5, arbitrary: replaced },
    { weight: 2, arbitrary: extended },
    { weight: 1, arbitrary: any },
  )
}

/** As they come: texts. */
export function documents(samples: readonly unknown[]): fc.Arbitrary<string> {
  const written = samples.map(sample => JSON.stringify(sample))
  const whole = values(samples).map(value => spelled(JSON.stringify(value) ?? 'null'))
  return fc.oneof(
    { weight: 8, arbitrary: whole },
    {
      weight: 3,
      arbitrary: damagedTexts(written, ['{', '}', '[', ']', '"', ':', ',', '\\u0000', '\\ud800', ...NUMBERS]),
    },
  )
}

/** Deep ones, and such that have a key or a list without end. */
export function longDocuments(samples: readonly unknown[], length: number): string[] {
  const [sample] = samples
  const written = JSON.stringify(sample)
  const deep = [true, false].map(isList =>
    isList
      ? `${'['.repeat(length / 2)}0${']'.repeat(length / 2)}`
      : `${'{"a":'.repeat(length / 6)}0${'}'.repeat(length / 6)}`,
  )
  const word = JSON.stringify('x'.repeat(length))
  const list = `[${'{},'.repeat(length / 3)}{}]`
  const places = placesOf(sample).filter(place => place.length <= 3)
  const filled = places.flatMap(place =>
    [...deep, word, list].map(long =>
      JSON.stringify(put(sample, place, '\u2620!')).replace('"\u2620!"', () => long),
    ),
  )
  const keys = `{${Array.from({ length: length / 12 }, (_, i) => `"k${i}":0`).join()}}`
  return [...deep, word, list, keys, ...filled, ...longTexts([written], [], length)]
}

export interface Document<T> {
  samples: readonly unknown[]
  read: (text: string) => T
  refusals: Refusals
  check?: (value: T, text: string) => void
  weight?: number
}

/** A parser of JSON's text. */
export function ofDocument<T>(
  name: string,
  { samples, read, refusals, check, weight = 1 }: Document<T>,
): Subject<string> {
  return {
    name,
    weight,
    inputs: documents(samples),
    long: length => longDocuments(samples, length),
    holds(text) {
      const outcome = outcomeOf(() => read(text), refusals)
      if ('value' in outcome) check?.(outcome.value, text)
    },
  }
}

/** A reader of what JSON said already: what is no JSON never comes to it. */
export const ofValue = <T>(
  name: string,
  { read, ...rest }: Omit<Document<T>, 'read'> & { read: (value: unknown) => T },
) =>
  ofDocument<T | undefined>(name, {
    ...(rest as Omit<Document<T | undefined>, 'read'>),
    read: text => {
      let value: unknown
      try {
        value = JSON.parse(text)
      } catch {
        return undefined
      }
      return read(value)
    },
  })
