/** Texts: anything at all, and samples with some of their letters changed, cut off, doubled or put elsewhere. */

import fc from 'fast-check'
import type { Subject } from './fuzz.ts'
import { outcomeOf, type Refusals } from './promises.ts'

/** What readers stumble over: ends of strings and lines, other forms of white space and digits, halves of letters. */
const ODD = [
  ...['\0', '\n', '\r\n', '\t', ' ', '\u00a0', '\u2028', '\ufeff', '\x7f', '\x1b[31m'],
  ...['\ud800', '\udc00', '\u0130', 'ſ', '٣', '１', '𝟙', 'e\u0301', '\ufffd'],
  ...[
    '"',
    "'",
    '\\',
    '/',
    '..',
    '../',
    '%',
    '%n',
    '$(x)',
    '`',
    ';',
    '#',
    ',',
    ':',
    '::',
    '=',
    '-',
    '--',
    '*',
  ],
  ...['0', '-1', '00', '0x10', '1e9', '65535', '65536', '4294967296', '9007199254740993', '1e999', 'NaN'],
  ...['null', 'true', '[]', '{}', '__proto__', 'constructor', 'toString'],
]

/** Bytes that are no UTF-8, as a file's text comes: overlong, cut off, beyond the last letter, half of a pair. */
const NO_UTF8 = [
  [0xc0, 0xaf],
  [0xe0, 0x80, 0xaf],
  [0xf0, 0x80, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xed, 0xa0, 0x80],
]

const odd = fc.constantFrom(...ODD, ...NO_UTF8.map(bytes => Buffer.from(bytes).toString('utf8')))
const anyText = fc.string({ unit: 'binary', maxLength: 60 })

type Edit = (text: string) => string

/** Something done at a place of a text. */
function editing(samples: readonly string[], tokens: readonly string[]): fc.Arbitrary<Edit> {
  const word = fc.oneof(odd, tokens.length > 0 ? fc.constantFrom(...tokens) : odd, anyText)
  const at = fc.nat(100_000)
  const place = (text: string, n: number) => n % (text.length + 1)
  return fc.oneof(
    fc.tuple(at, word).map(
      ([n, more]): Edit =>
        text =>
          text.slice(0, place(text, n)) + more + text.slice(place(text, n)),
    ),
    fc.tuple(at, fc.nat(8)).map(
      ([n, gone]): Edit =>
        text =>
          text.slice(0, place(text, n)) + text.slice(place(text, n) + gone),
    ),
    fc.tuple(at, fc.nat(8), word).map(
      ([n, gone, more]): Edit =>
        text =>
          text.slice(0, place(text, n)) + more + text.slice(place(text, n) + gone),
    ),
    fc.tuple(at, fc.nat(40)).map(
      ([n, count]): Edit =>
        text =>
          text.slice(0, place(text, n) + count) + text.slice(place(text, n)),
    ),
    at.map(
      (n): Edit =>
        text =>
          text.slice(0, place(text, n)),
    ),
    fc.tuple(at, at, fc.constantFrom(...samples)).map(
      ([n, m, other]): Edit =>
        text =>
          text.slice(0, place(text, n)) + other.slice(place(other, m)),
    ),
    fc.constantFrom<Edit>(
      text => `\ufeff${text}`,
      text => text.replaceAll('\n', '\r\n'),
      text => text.toUpperCase(),
      text => `${text}\0`,
    ),
  )
}

/** @param tokens words of the grammar */
export function damagedTexts(
  samples: readonly string[],
  tokens: readonly string[] = [],
): fc.Arbitrary<string> {
  const edits = fc.array(editing(samples, tokens), { maxLength: 4, size: 'max' })
  return fc
    .tuple(fc.constantFrom(...samples), edits)
    .map(([sample, all]) => all.reduce((text, edit) => edit(text), sample))
}

export function texts(samples: readonly string[], tokens: readonly string[] = []): fc.Arbitrary<string> {
  const words = fc.array(fc.oneof(odd, tokens.length > 0 ? fc.constantFrom(...tokens) : anyText), {
    maxLength: 8,
  })
  return fc.oneof(
    { weight: 1, arbitrary: anyText },
    { weight: 2, arbitrary: words.map(list => list.join('')) },
    { weight: 6, arbitrary: damagedTexts(samples, tokens) },
  )
}

/** Of which repetitions a regular expression that tries in too many ways may be slow. */
const REPEATED = [
  ' ',
  '\n',
  '\t',
  '/',
  ':',
  '.',
  '-',
  '0',
  '1',
  'a',
  '"',
  '\\',
  '\\"',
  ',',
  ';',
  '=',
  '*',
  '%',
  '\0',
  '\r',
  '{',
  '[',
  '{"":',
]

/** @returns samples with a piece in it again and again, at either end and with something behind */
export function longTexts(samples: readonly string[], tokens: readonly string[], length: number): string[] {
  const pieces = new Set(
    [...REPEATED, ...tokens, ...samples].filter(piece => piece !== '' && piece.length <= length),
  )
  const [sample = ''] = samples
  return [...pieces].flatMap(piece => {
    const long = piece.repeat(Math.ceil(length / piece.length))
    return [long, `${long}\u0001`, sample + long, `${long}${sample}`]
  })
}

export interface Reading<T> {
  samples: readonly string[]
  tokens?: readonly string[]
  read: (text: string) => T
  refusals: Refusals
  /** What must hold of a value. @throws */
  check?: (value: T, text: string) => void
  weight?: number
}

/** A parser of text. */
export function ofText<T>(
  name: string,
  { samples, tokens = [], read, refusals, check, weight = 1 }: Reading<T>,
): Subject<string> {
  return {
    name,
    weight,
    inputs: texts(samples, tokens),
    long: length => longTexts(samples, tokens, length),
    holds(text) {
      const outcome = outcomeOf(() => read(text), refusals)
      if ('value' in outcome) check?.(outcome.value, text)
    },
  }
}
