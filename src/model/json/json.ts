/**
 * Reads JSON from outside as Go's encoding/json does, since every runtime was written against that: keys
 * match in any case, the last of equal keys wins, null counts as absent. What we read is checked, what we
 * do not know is left alone, and each complaint names the key's path and the value. A document knows what
 * was asked of it, so that a key that nobody asks for, such as one with a typing error, can be named.
 */

import { type ErrorCode, TsnetError } from '../errors.ts'
import { shown } from './shown.ts'

/** Deeper than anybody writes; JSON.stringify runs out of stack some thousands further down. */
const MAX_DEPTH = 1000

/** What is wrong with a place of a document. */
export class Refusal extends TsnetError {
  /** `runtimeConfig.portMappings[0].hostPort`; empty for the document. */
  readonly path: string
  /** False where something should stand there, and nothing does. */
  readonly isPresent: boolean

  constructor(place: Json, code: ErrorCode, message: string, options: { details?: string }) {
    super(code, message, options)
    this.path = place.path
    this.isPresent = place.present
  }
}

/** A place in a JSON document, which may hold nothing. */
export class Json {
  /** undefined: absent or null. */
  readonly value: unknown
  /** `runtimeConfig.portMappings[0].hostPort` */
  readonly path: string
  /** Of a whole document: the text it was parsed from, where keys can stand twice. */
  readonly source: string
  #members: Map<string, Json> | undefined
  #items: Json[] | undefined
  /** Names that were asked for, as they were asked for, by their folded form. */
  readonly #asked = new Map<string, string>()
  #isForeign = false
  readonly #without: ReadonlySet<string>

  /** @param without paths at which nothing counts as standing */
  constructor(value: unknown, path: string, source = '', without: ReadonlySet<string> = NOTHING) {
    this.value = without.has(path) ? undefined : (value ?? undefined)
    this.path = path
    this.source = source
    this.#without = without
  }

  get present(): boolean {
    return this.value !== undefined
  }

  /** The member of an object, whatever the case of its letters; nothing in nothing. */
  get(key: string): Json {
    const folded = fold(key)
    this.#asked.set(folded, key)
    this.#members ??= new Map(
      Object.entries(this.object()).map(([name, value]) => [
        fold(name),
        new Json(value, this.#below(name), '', this.#without),
      ]),
    )
    return this.#members.get(folded) ?? new Json(undefined, this.#below(key))
  }

  #below(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`
  }

  /** The names that were asked for here so far. */
  get asked(): string[] {
    return [...this.#asked.values()]
  }

  /** What is in here is for somebody else to read. */
  leave(): void {
    this.#isForeign = true
  }

  /** Members that nobody asked for, of all objects that somebody read as such, with the object they are in. */
  unasked(): { name: string; within: Json }[] {
    const { value } = this
    if (this.#isForeign || typeof value !== 'object' || value === null) return []
    if (Array.isArray(value)) return (this.#items ?? []).flatMap(item => item.unasked())
    if (this.#asked.size === 0) return []
    const names = Object.keys(value).filter(name => !this.#asked.has(fold(name)))
    const below = [...(this.#members?.values() ?? [])]
    return [...names.map(name => ({ name, within: this })), ...below.flatMap(member => member.unasked())]
  }

  /** The member with exactly this name, where members are data: in Go a map, not a struct. */
  exactly(name: string): Json {
    const object = this.object()
    const value = Object.hasOwn(object, name) ? object[name] : undefined
    return new Json(value, `${this.path}.${name}`, '', this.#without)
  }

  object(): Record<string, unknown> {
    if (this.value === undefined) return {}
    if (typeof this.value !== 'object' || Array.isArray(this.value)) return this.refuse('is not an object')
    return this.value as Record<string, unknown>
  }

  list(): Json[] {
    if (this.value === undefined) return []
    if (!Array.isArray(this.value)) return this.refuse('is not a list')
    this.#items ??= this.value.map(
      (item, index) => new Json(item, `${this.path}[${index}]`, '', this.#without),
    )
    return this.#items
  }

  /** An empty string is as good as none: Go's zero value. */
  text(): string | undefined {
    if (this.value === undefined || this.value === '') return undefined
    if (typeof this.value !== 'string') return this.refuse('is not a string')
    return this.value
  }

  flag(): boolean | undefined {
    if (this.value === undefined || typeof this.value === 'boolean') return this.value
    return this.refuse('is neither true nor false')
  }

  /** A whole number within bounds, both included. */
  number(least: number, most: number): number | undefined {
    if (this.value === undefined) return undefined
    if (
      !Number.isSafeInteger(this.value) ||
      !((this.value as number) >= least && (this.value as number) <= most)
    ) {
      return this.refuse(`is not a whole number from ${least} to ${most}`)
    }
    return this.value as number
  }

  /** @throws Refusal `hostPort: 0 is not …` */
  refuse(reason: string, code: ErrorCode = 'invalid-config', details?: string): never {
    const subject = this.path === '' ? 'the network configuration' : this.path
    const message = this.present ? `${subject}: ${shown(this.value)} ${reason}` : `${subject} ${reason}`
    throw new Refusal(this, code, message, details === undefined ? {} : { details })
  }
}

const NOTHING: ReadonlySet<string> = new Set()

/**
 * Parses a document that must be an object.
 * @param from where it came from, for messages
 * @throws TsnetError `decode`
 */
export function parseJson(text: string, from = 'stdin'): Json {
  if (/^\s*$/.test(text)) {
    throw new TsnetError('decode', `${from} is empty; the network configuration was expected there`)
  }
  if (depthOf(text) > MAX_DEPTH) {
    throw new TsnetError('decode', `${from} is nested deeper than ${MAX_DEPTH} levels`)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new TsnetError('decode', `${from} is not JSON: ${reason.slice(0, 200)}`, { cause })
  }
  const document = new Json(value, '', text)
  if (!document.present || typeof value !== 'object' || Array.isArray(value)) {
    return document.refuse('is not an object', 'decode')
  }
  return document
}

// Go folds letters by Unicode's simple folding, in which two more characters stand for ASCII letters:
// the Kelvin sign, which toLowerCase knows, and the long s.
const fold = (key: string): string => key.toLowerCase().replaceAll('ſ', 's')

/**
 * Where a string of JSON ends. Of a string of some megabytes, regular expressions run out of stack; and each network list that
 * a daemon reads at its start goes through here, in which V8 should see no loop worth a compiler.
 * @param at its opening quote
 * @returns its closing quote; the text's end where it has none
 */
export function endOfString(text: string, at: number): number {
  let end = text.indexOf('"', at + 1)
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end === -1 ? text.length : end
}

/** A backslash that is no other's second stands before. */
function isEscaped(text: string, at: number): boolean {
  let first = at
  while (text.charCodeAt(first - 1) === 0x5c) first--
  return (at - first) % 2 === 1
}

/** The deepest nesting of brackets outside of strings. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x22) i = endOfString(text, i)
    else if (code === 0x5b || code === 0x7b) {
      deepest = Math.max(deepest, ++depth)
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return deepest
}
