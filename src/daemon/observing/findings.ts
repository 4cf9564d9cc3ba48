/** What a pass over what others take away has found, for the log and for those who watch: news, each once. */

import { BUSY } from '../../network/reconcile/part.ts'
import type { Found } from '../../network/reconcile/reconcile.ts'
import type { Rests } from '../../network/reconcile/rests.ts'

export interface Logs {
  log: (line: string) => void
  /** What goes wrong. */
  warn: (line: string) => void
}

export class Findings {
  readonly #rests: Rests
  readonly #logs: Logs
  readonly #told: (found: Found[]) => void
  /** Of the last pass: what stays as it is, and why. */
  #said = new Set<string>()

  /** @param rests hears what was mended */
  constructor(rests: Rests, logs: Logs, told: (found: Found[]) => void) {
    this.#rests = rests
    this.#logs = logs
    this.#told = told
  }

  tell(found: readonly Found[]): void {
    const said = new Set<string>()
    for (const subject of new Set(found.map(each => each.subject)))
      this.#tellOf(
        subject,
        found.filter(each => each.subject === subject),
        said,
      )
    this.#said = said
  }

  #tellOf(subject: string, found: readonly Found[], said: Set<string>): void {
    const restored = found.filter(({ outcome }) => outcome === 'restored')
    const kept = found.filter(({ outcome, why }) => outcome === 'kept' && why !== BUSY)
    const times = restored.length + kept.length > 0 ? this.#rests.wasMended(subject) : undefined
    if (restored.length > 0 && times !== 'many') this.#logs.log(`put back ${subject}: ${summaryOf(restored)}`)
    if (restored.length > 0) this.#told(restored)
    if (restored.length > 0 && times === 'too-many')
      this.#logs.warn(
        `${subject}: somebody takes it away again and again, so it is put back less and less often`,
      )
    const news = kept.filter(({ what, why }) => {
      const line = `${what}: ${why}`
      said.add(line)
      if (this.#said.has(line)) return false
      this.#logs.log(`${subject} stays as it is: ${line}`)
      return true
    })
    if (news.length > 0) this.#told(news)
  }
}

const summaryOf = ([first, ...others]: readonly Found[]): string =>
  `${first?.what}${others.length > 0 ? `, and ${others.length} more` : ''}`
