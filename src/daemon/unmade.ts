/**
 * Who was being made while something was taken away. A record that is not whole is compared with nothing, so what he had
 * by then is looked for once he is made: nobody tells of it any more.
 */

import { madeSince, type Scope } from '../network/reconcile/reconcile.ts'

/** How soon it is looked whether somebody is made. */
const LOOK_MS = 100

export class Unmade implements Disposable {
  readonly #again: (scope: Scope) => void
  /** Each with what may be gone of it. */
  readonly #scopes = new Map<string, Scope>()
  #timer: NodeJS.Timeout | undefined

  /** @param again hears where to look, since somebody is there who was not */
  constructor(again: (scope: Scope) => void) {
    this.#again = again
  }

  /** They were being made as this was looked at. */
  note(owners: readonly string[], scope: Scope): void {
    for (const owner of owners) {
      const before = this.#scopes.get(owner)
      this.#scopes.set(owner, before === undefined ? scope : both(before, scope))
    }
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  #look(): void {
    const scopes = [...this.#scopes]
    const { made, making } = madeSince(this.#scopes.keys())
    for (const [owner] of scopes) if (!making.includes(owner)) this.#scopes.delete(owner)
    if (this.#scopes.size === 0) this[Symbol.dispose]()
    if (made) this.#again(scopes.map(([, scope]) => scope).reduce(both))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

const both = (one: Scope, other: Scope): Scope => ({
  rules: one.rules || other.rules,
  settings: one.settings || other.settings,
  limits: one.limits || other.limits,
  bridges:
    one.bridges === 'all' || other.bridges === 'all' ? 'all' : new Set([...one.bridges, ...other.bridges]),
})
