/** Where a damaged file goes, and what is said of it. */

import { renameSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeFolder } from '../ffi/folder.ts'
import { asideMark } from '../ffi/regular-file.ts'
import { hasCode } from '../model/errors.ts'
import { surroundings } from '../model/surroundings.ts'
import { isLasting, LASTING, pathOf, removeEmptyParents, unusable } from './run-directory.ts'

/** The folder of those that were set aside; nobody reads it. */
export const DAMAGED = 'damaged'

/** Moves a damaged file away and says so. @param then what comes of it, a sentence */
export function setAside(name: string, damage: string, then?: string): void {
  moveAway(name, damage, then, renameSync)
}

/**
 * The same, in another way.
 * @param move gives it its other name
 */
export function moveAway(
  name: string,
  damage: string,
  then: string | undefined,
  move: (from: string, to: string) => void,
): void {
  const top = isLasting(name) ? `${LASTING}/` : ''
  const flat = name.slice(top.length).replaceAll('/', '-')
  const aside = pathOf(`${top}${DAMAGED}/${flat}.${asideMark()}`)
  try {
    makeFolder(dirname(aside), 0o700)
    move(pathOf(name), aside)
  } catch (thrown) {
    // Somebody else was faster.
    if (hasCode(thrown, 'ENOENT', 'EEXIST')) return
    throw unusable(thrown, pathOf(name))
  }
  removeEmptyParents(pathOf(name))
  const more = then === undefined ? '' : `; ${then}`
  surroundings().complain(`tsnet: warning: ${pathOf(name)} ${damage}; it was moved to ${aside}${more}\n`)
}
