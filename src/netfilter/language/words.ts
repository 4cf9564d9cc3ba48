/** Text of nft's language, word by word. */

/** Words that are none of ours. */
export class LanguageError extends Error {
  override readonly name = 'LanguageError'
}

/** Quoted text, raw bytes of a header (which have commas in them), brackets, and all between blanks. */
const WORD = /"[^"]*"|@th,\d+,\d+|[{}(),;]|[^\s{}(),;"]+/g

export class Words {
  readonly #text: string
  readonly #words: string[]
  #at = 0

  constructor(text: string) {
    this.#text = text
    this.#words = text.match(WORD) ?? []
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#words.length
  }

  /** The word at a distance; empty behind the end. */
  peek(ahead = 0): string {
    return this.#words[this.#at + ahead] ?? ''
  }

  next(): string {
    if (this.isAtEnd) throw this.error('ends too early')
    return this.#words[this.#at++] ?? ''
  }

  /** Takes the next words if they are these. */
  take(...words: string[]): boolean {
    if (!words.every((word, i) => this.peek(i) === word)) return false
    this.#at += words.length
    return true
  }

  expect(...words: string[]): void {
    if (!this.take(...words))
      throw this.error(`has ${this.peek() || 'its end'} instead of ${words.join(' ')}`)
  }

  /** All that follows. */
  rest(): string {
    const words = this.#words.slice(this.#at)
    this.#at = this.#words.length
    return words.join(' ')
  }

  /** Quoted text without its quotes. */
  quoted(): string {
    const word = this.next()
    if (!/^".*"$/.test(word)) throw this.error(`has ${word} where quoted text should be`)
    return word.slice(1, -1)
  }

  error(what: string): LanguageError {
    return new LanguageError(`${this.#text}: ${what}`)
  }
}
