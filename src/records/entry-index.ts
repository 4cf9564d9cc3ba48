/** Which attachments have ports to be served, and what else is asked of them, for whoever asks again and again. */

import type { Attachment } from '../model/network.ts'
import { FolderIndex } from './folder-index.ts'
import { ENTRIES, ownerIn, readEntry } from './records.ts'

interface Indexed<T> {
  owner: string
  hasPorts: boolean
  other: T | undefined
}

export class EntryIndex<T = never> {
  readonly #entries: FolderIndex<Indexed<T>>
  #seen: readonly Indexed<T>[] | undefined
  #others: readonly { owner: string; value: T }[] = []

  /** @param other what is kept of a complete attachment, beside that it publishes ports */
  constructor(other: (attachment: Attachment) => T | undefined = () => undefined) {
    this.#entries = new FolderIndex(ENTRIES, name => {
      const owner = ownerIn(name)
      const entry = owner === undefined ? undefined : readEntry(owner)
      if (owner === undefined || entry?.state !== 'attached') return undefined
      const indexed = { owner, hasPorts: entry.attachment.ports.length > 0, other: other(entry.attachment) }
      return indexed.hasPorts || indexed.other !== undefined ? indexed : undefined
    })
  }

  /** Owners of attachments that are complete and publish ports. */
  attachedWithPorts(): string[] {
    return this.#entries.list().flatMap(({ owner, hasPorts }) => (hasPorts ? [owner] : []))
  }

  /** What is kept of them beside; the same list as long as nothing has changed. */
  others(): readonly { owner: string; value: T }[] {
    const entries = this.#entries.list()
    if (entries !== this.#seen)
      this.#others = entries.flatMap(({ owner, other }) =>
        other === undefined ? [] : [{ owner, value: other }],
      )
    this.#seen = entries
    return this.#others
  }
}
