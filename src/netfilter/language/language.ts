/**
 * Rules in nft's language, as expressions: as much of it as our rules use.
 *
 *     compileRule('inet', 'ip daddr @guarded4 ip daddr . iifname != @home4 drop')
 *
 * A rule is a row of statements: comparisons of fields (or of several, joined by dots) with a value, a set or
 * a map of verdicts; and what is done, such as `drop`, `jump`, `dnat to`. What nft puts into a rule unasked,
 * such as `meta nfproto ipv4` before `ip daddr` in a table of both families, is put in here as well: so
 * nft lists our rules as it lists its own (test/netns/netfilter-language.ts).
 *
 * Source: nft(8); netlink_linearize.c of nftables for the expressions.
 */

import { bytesOf, parseIp, tryParseIp } from '../../model/address/address.ts'
import { be16, u32 } from '../../netlink/codecs.ts'
import {
  cmp,
  counter,
  counterOf,
  dnat,
  immediate,
  intoSet,
  lookup,
  markWith,
  mask,
  masquerade,
  registerAt,
  snat,
  verdict,
} from '../expressions.ts'
import type { RuleExpression, RulePlan } from '../rule.ts'
import { aligned, typeNamed } from '../set-types.ts'
import type { TableFamily } from '../values.ts'
import { type Context, ensure, type Field, fields, rawField } from './fields.ts'
import { literalOf, maskOf, type Prefix, prefixOf } from './ranges.ts'
import { Words } from './words.ts'

/** A field in a comparison, perhaps with some of its bits alone. */
interface Operand extends Field {
  bitmask?: Uint8Array
}

const FIELD_WORDS_MAX = 5

class RuleCompiler {
  readonly #family: TableFamily
  readonly #words: Words
  readonly #known: Context = {}
  readonly #made: RuleExpression[] = []

  constructor(family: TableFamily, text: string) {
    this.#family = family
    this.#words = new Words(text)
  }

  compile(): RulePlan {
    let comment: string | undefined
    while (!this.#words.isAtEnd) {
      if (this.#words.take('comment')) comment = this.#words.quoted()
      else this.#statement()
    }
    return { expressions: this.#made, ...(comment !== undefined && { comment }) }
  }

  #statement(): void {
    const words = this.#words
    switch (words.peek()) {
      case 'accept':
      case 'drop':
      case 'return':
        this.#made.push(verdict(words.next() as 'accept' | 'drop' | 'return'))
        return
      case 'jump':
      case 'goto':
        this.#made.push(verdict(words.next() as 'jump' | 'goto', words.next()))
        return
      case 'counter':
        words.next()
        if (words.take('name')) this.#counterOf()
        else this.#made.push(counter)
        return
      case 'masquerade':
        words.next()
        this.#made.push(masquerade)
        return
      case 'dnat':
        words.next()
        this.#dnat()
        return
      case 'snat':
        words.next()
        this.#snat()
        return
      case 'add':
      case 'update':
        this.#intoSet(words.next() as 'add' | 'update')
        return
      default:
        if (words.take('meta', 'mark', 'set', 'meta', 'mark', '|'))
          this.#made.push(...markWith(this.#number()))
        else this.#match()
    }
  }

  /** `@recent { ip daddr . th dport timeout 60s counter }` */
  #intoSet(operation: 'add' | 'update'): void {
    const words = this.#words
    const set = this.#setName()
    words.expect('{')
    this.#load(this.#operands())
    const [, seconds] = (words.take('timeout') && /^(\d{1,9})s$/.exec(words.next())) || []
    const isCounted = words.take('counter')
    words.expect('}')
    const timeoutS = seconds === undefined ? undefined : Number(seconds)
    this.#made.push(intoSet(set, operation, timeoutS, isCounted))
  }

  /** `counter name ip daddr map @counted` */
  #counterOf(): void {
    this.#load(this.#operands())
    this.#words.expect('map')
    this.#made.push(counterOf(this.#setName()))
  }

  #number(): number {
    const word = this.#words.next()
    if (!/^(0x[\da-f]{1,8}|\d{1,9})$/.test(word))
      throw this.#words.error(`has ${word} where a number should be`)
    return Number(word)
  }

  /** `ip to` */
  #toFamily(): 'ip' | 'ip6' {
    const words = this.#words
    const family = words.peek() === 'to' ? this.#family : words.next()
    words.expect('to')
    if (family !== 'ip' && family !== 'ip6') throw words.error('does not say to which family it leads')
    return family
  }

  #snat(): void {
    const family = this.#toFamily()
    const address = tryParseIp(this.#words.peek())
    if (address !== undefined) {
      this.#words.next()
      this.#made.push(immediate(bytesOf(address), registerAt(0)))
    } else {
      this.#load(this.#operands())
      if (this.#words.take('map')) this.#made.push(lookup(this.#setName(), { dreg: registerAt(0) }))
    }
    this.#made.push(snat(family, registerAt(0)))
  }

  #dnat(): void {
    const words = this.#words
    const family = this.#toFamily()
    if (/^[[\d]/.test(words.peek())) {
      const [, ip = '', port = ''] = /^\[?([0-9a-f.:]+?)\]?:(\d+)$/i.exec(words.next()) ?? []
      this.#made.push(
        immediate(bytesOf(parseIp(ip)), registerAt(0)),
        immediate(be16.encode(Number(port)), registerAt(16)),
        dnat(family, registerAt(0), registerAt(16)),
      )
      return
    }
    this.#load(this.#operands())
    words.expect('map')
    const size = family === 'ip' ? 4 : 16
    this.#made.push(
      lookup(this.#setName(), { dreg: registerAt(0) }),
      dnat(family, registerAt(0), registerAt(size)),
    )
  }

  #match(): void {
    const words = this.#words
    const operands = this.#operands()
    if (words.take('vmap')) {
      this.#load(operands)
      this.#made.push(lookup(this.#setName(), { dreg: 0 }))
      return
    }
    const not = words.take('!=')
    if (!not) words.take('==')
    if (words.peek().startsWith('@')) {
      this.#load(operands)
      this.#made.push(lookup(this.#setName(), { not }))
      return
    }
    const [field] = operands
    if (field === undefined || operands.length > 1)
      throw words.error('compares several fields with one value')
    if (words.take('{')) this.#among(field, not)
    else this.#compare(field, words.next(), not)
  }

  /** Whether a field is one of several values. */
  #among(field: Operand, not: boolean): void {
    const values: string[] = []
    do values.push(this.#words.next())
    while (this.#words.take(','))
    this.#words.expect('}')
    const [only] = values
    if (only !== undefined && values.length === 1) {
      this.#compare(field, only, not)
      return
    }
    this.#load([field])
    const literal = literalOf(
      field,
      values.map(value => prefixOf(field, value)),
    )
    this.#made.push(lookup(literal, { not }))
  }

  #compare(field: Operand, value: string, not: boolean): void {
    if (field.encode === undefined && typeNamed(field.type).isFlags && !not) {
      this.#load([{ ...field, bitmask: prefixOf(field, value).bytes }])
      this.#made.push(cmp('neq', u32.encode(0)))
      return
    }
    this.#equal(field, prefixOf(field, value), not)
    if (!not) Object.assign(this.#known, field.tells?.(value))
  }

  #equal(field: Operand, { bytes, bits }: Prefix, not: boolean): void {
    const op = not ? 'neq' : 'eq'
    const whole = 8 * bytes.length
    if (bits > 0 && bits < whole && bits % 8 === 0) {
      this.#load([field])
      // Only those bytes are loaded that are compared.
      const loaded = this.#made.pop()
      const length = bits / 8
      if (loaded?.payload !== undefined)
        this.#made.push({ ...loaded, payload: { ...loaded.payload, length } })
      this.#made.push(cmp(op, bytes.subarray(0, length)))
      return
    }
    this.#load([bits === whole ? field : { ...field, bitmask: maskOf(bits, bytes.length) }])
    this.#made.push(cmp(op, bytes))
  }

  /** Fields joined by dots. */
  #operands(): Operand[] {
    const operands: Operand[] = []
    do operands.push(this.#operand())
    while (this.#words.take('.'))
    return operands
  }

  /** A field, or `(field & mask)`. */
  #operand(): Operand {
    if (!this.#words.take('(')) return this.#field()
    const field = this.#field()
    this.#words.expect('&')
    const bitmask = typeNamed(field.type).encode(this.#words.next())
    this.#words.expect(')')
    return { ...field, bitmask }
  }

  #field(): Field {
    const words = this.#words
    for (let count = FIELD_WORDS_MAX; count > 0; count--) {
      const phrase = Array.from({ length: count }, (_, i) => words.peek(i))
      const field = fields[phrase.join(' ')]
      if (field !== undefined && words.take(...phrase)) return field
    }
    const raw = rawField(words.peek())
    if (raw === undefined) throw words.error(`does not know the word ${words.peek()}`)
    words.next()
    return raw
  }

  /** Fields into the registers in which a set looks for them, after what they need. */
  #load(operands: readonly Operand[]): void {
    for (const { needs = {} } of operands) this.#made.push(...ensure(this.#family, needs, this.#known))
    let at = 0
    for (const { size, load, bitmask } of operands) {
      const register = registerAt(at)
      this.#made.push(load(register))
      if (bitmask !== undefined) this.#made.push(mask(bitmask, register))
      at += aligned(size)
    }
  }

  #setName(): string {
    const word = this.#words.next()
    if (!word.startsWith('@')) throw this.#words.error(`has ${word} where a set should be`)
    return word.slice(1)
  }
}

/**
 * A rule as nft writes it.
 * @param family of its table
 * @throws LanguageError for words that are not known here; RangeError, TsnetError `invalid-config` for values
 */
export const compileRule = (family: TableFamily, text: string): RulePlan =>
  new RuleCompiler(family, text).compile()

/** True for a rule that compileRule understands. */
export function isKnown(family: TableFamily, text: string): boolean {
  try {
    compileRule(family, text)
    return true
  } catch {
    return false
  }
}
