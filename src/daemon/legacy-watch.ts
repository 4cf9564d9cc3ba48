/**
 * Notices that the legacy tables of iptables have changed, of which the kernel tells nobody: their size is looked at
 * some twenty times a second, which costs microseconds, where there are any.
 *
 * What we change ourselves is told by a count of our changes. Had somebody else changed something between the same two
 * looks, he would go unnoticed; so after ours, and now and then anyway (a policy changes no size), all is compared.
 */

import { legacyMark } from '../foreign/foreign.ts'
import { ownChanges } from '../nat/nat.ts'

const LOOK_MS = 50
/** How often it is looked whether there are such tables at all. */
const FIRST_LOOK_MS = 1_000
const AFTER_OWN_MS = 2_000
const ANYWAY_MS = 30_000

interface Seen {
  mark: string
  own: number
}

export class LegacyWatch implements Disposable {
  readonly #changed: () => void
  #timer: NodeJS.Timeout
  #afterOwn: NodeJS.Timeout | undefined
  #seen = look()
  #comparedAt = performance.now()

  /** @param changed hears that rules may be gone */
  constructor(changed: () => void) {
    this.#changed = changed
    this.#timer = this.#later()
  }

  #later(): NodeJS.Timeout {
    const pauseMs = this.#seen.mark === '' ? FIRST_LOOK_MS : LOOK_MS
    return setTimeout(() => {
      this.#look()
      this.#timer = this.#later()
    }, pauseMs).unref()
  }

  #look(): void {
    const before = this.#seen
    this.#seen = look()
    const { mark, own } = this.#seen
    if (mark !== '' && performance.now() - this.#comparedAt > ANYWAY_MS) this.#compare()
    else if (mark === before.mark) return
    else if (own === before.own) this.#compare()
    else {
      clearTimeout(this.#afterOwn)
      this.#afterOwn = setTimeout(() => this.#compare(), AFTER_OWN_MS).unref()
    }
  }

  #compare(): void {
    this.#comparedAt = performance.now()
    this.#changed()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#afterOwn)
  }
}

/** What cannot be looked at now will be later. */
function look(): Seen {
  const own = ownChanges()
  try {
    return { mark: `${legacyMark(4)}${legacyMark(6)}`, own }
  } catch {
    return { mark: 'unknown', own }
  }
}
