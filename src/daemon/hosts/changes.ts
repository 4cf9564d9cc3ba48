/** What has changed among attachments since somebody looked last: of those that are as they were nothing is looked at. */

import type { EntryIndex } from '../../records/entry-index.ts'
import type { Called } from '../names/known.ts'

export type CalledEntries = Pick<EntryIndex<{ called: Called }>, 'others'>

/** One that has changed has gone as it was, and come as it is. */
export interface CalledChanges {
  go: [owner: string, called: Called][]
  come: [owner: string, called: Called][]
}

export class Changes {
  readonly #index: CalledEntries
  #seen: readonly { owner: string; value: { called: Called } }[] = []
  /** By what the index keeps of it, which is another when its file is. */
  #known = new Map<string, Called>()

  constructor(index: CalledEntries) {
    this.#index = index
  }

  /** Since the last time; undefined: none. */
  next(): CalledChanges | undefined {
    const entries = this.#index.others()
    if (entries === this.#seen) return undefined
    this.#seen = entries
    const there = new Map<string, Called>()
    const come: CalledChanges['come'] = []
    for (const { owner, value } of entries) {
      there.set(owner, value.called)
      if (this.#known.get(owner) !== value.called) come.push([owner, value.called])
    }
    const go = [...this.#known].filter(([owner, called]) => there.get(owner) !== called)
    this.#known = there
    return { go, come }
  }
}
