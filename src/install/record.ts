/** The record of what was installed: `/var/lib/tsnet/install.json`. */

import { dirname } from 'node:path'
import { TsnetError } from '../model/errors.ts'
import { byKind, flag, listOf, record, type Shape, text } from '../model/json/shape.ts'
import { FORMAT, readStored, type Stored } from '../model/json/stored.ts'
import type { Entry } from './items.ts'
import type { Surroundings } from './surroundings.ts'

export const RECORD = '/var/lib/tsnet/install.json'

export interface Record {
  /** That were made for the record itself, the top one first. */
  folders: string[]
  /** What was installed, in the order in which it was. */
  entries: Entry[]
}

const folders = listOf(text)
const textOrNull: Shape = value => (value === null ? undefined : text(value))

const SHAPE = record({
  folders,
  entries: listOf(
    byKind({
      link: record({ path: text, target: text, kept: flag, folders }),
      file: record({ path: text, sha256: text, kept: flag, folders }),
      key: record({ path: text, key: text, value: text, sha256: text, before: textOrNull, folders }),
      command: record({ command: listOf(text), back: listOf(text) }),
    }),
  ),
})

/** Where nothing is installed: the record that a first entry would be written to. @throws TsnetError `decode`, `io` for a newer format */
export function readRecord(around: Surroundings): Record {
  const there = around.lookAt(RECORD)
  if (there === 'nothing') {
    // The last one is ours in any case, though somebody who was killed may have made it.
    const folders = [...new Set([...around.missingFolders(RECORD), dirname(RECORD)])]
    return { folders, entries: [] }
  }
  const isFile = typeof there !== 'string' && 'text' in there
  const stored: Stored<Record> = isFile
    ? readStored(Buffer.from(there.text, 'latin1').toString(), SHAPE, RECORD)
    : { damage: 'is not a file' }
  if ('value' in stored) return stored.value
  throw new TsnetError(
    'decode',
    `${RECORD} cannot be read: it ${stored.damage}. It says what was here before tsnet; mend it, or remove it and take care of the rest by hand`,
  )
}

/** Without entries there is no file, and no folder that was made for it. */
export function writeRecord(around: Surroundings, { folders, entries }: Record): void {
  if (entries.length === 0) {
    around.remove(RECORD)
    for (const folder of folders.toReversed()) around.removeFolder(folder)
    return
  }
  for (const folder of around.missingFolders(RECORD)) around.makeFolder(folder)
  const written = `${JSON.stringify({ format: FORMAT, folders, entries }, null, 2)}\n`
  around.putFile(RECORD, Buffer.from(written).toString('latin1'), 0o600)
}
