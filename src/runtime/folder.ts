/** Folders of a runtime's files, which need not be there. */

import { readdirSync } from 'node:fs'
import { hasCode } from '../model/errors.ts'

/** What a folder holds, sorted; nothing where it is not there. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch (thrown) {
    if (hasCode(thrown, 'ENOENT', 'ENOTDIR')) return []
    throw thrown
  }
}
