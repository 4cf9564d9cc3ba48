/** Which attachments have ports to be served, for whoever asks again and again. */

import { FolderIndex } from './folder-index.ts'
import { ENTRIES, ownerIn, readEntry } from './records.ts'

export class EntryIndex {
  readonly #withPorts = new FolderIndex(ENTRIES, name => {
    const owner = ownerIn(name)
    const entry = owner === undefined ? undefined : readEntry(owner)
    return entry?.state === 'attached' && entry.attachment.ports.length > 0 ? owner : undefined
  })

  /** Owners of attachments that are complete and publish ports. */
  attachedWithPorts(): string[] {
    return [...this.#withPorts.list()]
  }
}
