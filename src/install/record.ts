/** The record of what was installed: `/var/lib/tsnet/install.json`. */

import { dirname } from 'node:path'
import { messageOf, TsnetError } from '../model/errors.ts'
import type { Entry } from './items.ts'
import type { Surroundings } from './surroundings.ts'

export const RECORD = '/var/lib/tsnet/install.json'

const FORMAT = 1

export interface Record {
  /** That were made for the record itself, the top one first. */
  folders: string[]
  /** What was installed, in the order in which it was. */
  entries: Entry[]
}

/** Where nothing is installed: the record that a first entry would be written to. @throws TsnetError `decode` */
export function readRecord(around: Surroundings): Record {
  const there = around.lookAt(RECORD)
  if (there === 'nothing') {
    // The last one is ours in any case, though somebody who was killed may have made it.
    const folders = [...new Set([...around.missingFolders(RECORD), dirname(RECORD)])]
    return { folders, entries: [] }
  }
  try {
    if (typeof there === 'string' || !('text' in there)) throw new Error('it is not a file')
    const read = JSON.parse(Buffer.from(there.text, 'latin1').toString()) as Record & { format: number }
    const { format, folders, entries } = read
    if (format !== FORMAT || !Array.isArray(entries) || !Array.isArray(folders))
      throw new Error(`its format is ${format}, not ${FORMAT}`)
    return { folders, entries }
  } catch (cause) {
    throw new TsnetError(
      'decode',
      `${RECORD} cannot be read: ${messageOf(cause)}. It says what was here before tsnet; mend it, or remove it and take care of the rest by hand`,
      { cause },
    )
  }
}

/** Without entries there is no file, and no folder that was made for it. */
export function writeRecord(around: Surroundings, { folders, entries }: Record): void {
  if (entries.length === 0) {
    around.remove(RECORD)
    for (const folder of folders.toReversed()) around.removeFolder(folder)
    return
  }
  for (const folder of around.missingFolders(RECORD)) around.makeFolder(folder)
  const text = `${JSON.stringify({ format: FORMAT, folders, entries }, null, 2)}\n`
  around.putFile(RECORD, Buffer.from(text).toString('latin1'), 0o600)
}
