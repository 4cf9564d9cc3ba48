/**
 * Notices that the legacy tables of iptables have changed, of which the kernel tells nobody.
 *
 *     size       some twenty times a second, which costs microseconds
 *     content    every second, or less often: reading it takes a hundredth of a processor at most. A policy, or a rule for
 *                another, changes no size
 *
 * Where there are no such tables it is looked once a second whether there are.
 *
 * What we change ourselves is told by a count of our changes. Had somebody else changed something between the same two
 * looks, he would go unnoticed; so a while after ours all is compared.
 */

import { legacyContent, legacyMark } from '../foreign/foreign.ts'
import { processorMs } from '../model/duration.ts'
import { ownChanges } from '../nat/nat.ts'

const LOOK_MS = 50
/** How often it is looked whether there are such tables at all. */
const FIRST_LOOK_MS = 1_000
const READ_MS = 1_000
/** Of a processor's time from one reading to the next, a reading takes so little. */
const SHARE = 0.01
/** How seldom it is read where it is another each time, as on a kernel that shows what its rules remember. */
const SELDOM_MS = 30_000
const AFTER_OWN_MS = 2_000

interface Seen {
  mark: string
  own: number
}

const size = (): string => `${legacyMark(4)}${legacyMark(6)}`
const content = (): string => `${legacyContent(4)};${legacyContent(6)}`

export class LegacyWatch implements Disposable {
  readonly #changed: () => void
  #timer: NodeJS.Timeout
  #afterOwn: NodeJS.Timeout | undefined
  #size = look(size)
  #content = look(content)
  #readAt = performance.now()
  #tookMs = 0
  #pauseMs = READ_MS

  /** @param changed hears that rules may be gone */
  constructor(changed: () => void) {
    this.#changed = changed
    this.#timer = this.#later()
  }

  #later(): NodeJS.Timeout {
    const pauseMs = this.#size.mark === '' ? FIRST_LOOK_MS : LOOK_MS
    return setTimeout(() => {
      this.#look()
      this.#timer = this.#later()
    }, pauseMs).unref()
  }

  #look(): void {
    const before = this.#size
    this.#size = look(size)
    const { mark, own } = this.#size
    if (mark !== before.mark) {
      // What is compared now need not be again, for the same reason.
      if (own === before.own) this.#read()
      this.#compare(own === before.own)
    } else if (mark !== '' && this.#isTimeToRead()) {
      const { mark, own } = this.#content
      this.#read()
      const isForeign = own === this.#content.own
      const hasChanged = mark !== this.#content.mark
      // What is to be compared in a moment anyway need not wait longer for it.
      if (hasChanged && (isForeign || this.#afterOwn === undefined)) this.#compare(isForeign)
      this.#pauseMs = hasChanged && isForeign ? Math.min(SELDOM_MS, 2 * this.#pauseMs) : READ_MS
    }
  }

  #isTimeToRead(): boolean {
    const pauseMs = Math.max(this.#pauseMs, Math.min(this.#tookMs / SHARE, SELDOM_MS))
    return performance.now() - this.#readAt >= pauseMs
  }

  #read(): void {
    const before = process.cpuUsage()
    this.#content = look(content)
    // Where others have the processor it takes longer, and costs no more.
    this.#tookMs = processorMs(before)
    this.#readAt = performance.now()
  }

  /** @param isForeign what has changed is not ours, which is looked at later */
  #compare(isForeign: boolean): void {
    if (isForeign) this.#changed()
    else {
      clearTimeout(this.#afterOwn)
      this.#afterOwn = setTimeout(() => {
        this.#afterOwn = undefined
        this.#changed()
      }, AFTER_OWN_MS).unref()
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#afterOwn)
  }
}

/** What cannot be looked at now will be later. */
function look(mark: () => string): Seen {
  const own = ownChanges()
  try {
    return { mark: mark(), own }
  } catch {
    return { mark: 'unknown', own }
  }
}
