/**
 * Which attachments have ports to be served, for whoever asks again and again.
 *
 * The truth is in the files. Every change of an entry is a new file under its name (state.ts), so the folder
 * says when nothing has changed, and each file whether it is the one that was read. What changed so lately
 * that the clock could not tell two changes apart is read again.
 */

import { type BigIntStats, statSync } from 'node:fs'
import { entriesFolder, entryPath, listOwners, readEntry } from './state.ts'

/** Kernels count time of files in steps of up to 10 ms. */
const SETTLED_NS = 20_000_000n

interface Known {
  file: string
  hasPorts: boolean
}

export class EntryIndex {
  #known = new Map<string, Known>()
  /** Of the folder, when all that it holds was known; empty: look. */
  #folder = ''

  /** Owners of attachments that are complete and publish ports. */
  attachedWithPorts(): string[] {
    const folder = stampOf(entriesFolder())
    if (folder === '' || folder !== this.#folder) this.#look()
    this.#folder = folder
    return [...this.#known].flatMap(([owner, { hasPorts }]) => (hasPorts ? [owner] : []))
  }

  #look(): void {
    const known = new Map<string, Known>()
    for (const owner of listOwners()) {
      const file = stampOf(entryPath(owner))
      const before = this.#known.get(owner)
      if (before !== undefined && file !== '' && before.file === file) {
        known.set(owner, before)
        continue
      }
      const entry = readEntry(owner)
      const hasPorts = entry?.state === 'attached' && entry.attachment.ports.length > 0
      known.set(owner, { file, hasPorts })
    }
    this.#known = known
  }
}

/** Names the state of a file or folder; empty where it is none, or too young to be told from the next. */
function stampOf(path: string): string {
  const stats: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false })
  if (stats === undefined) return ''
  const { dev, ino, mtimeNs, ctimeNs, size } = stats
  const settled = BigInt(Date.now()) * 1_000_000n - mtimeNs > SETTLED_NS
  return settled ? `${dev} ${ino} ${mtimeNs} ${ctimeNs} ${size}` : ''
}
