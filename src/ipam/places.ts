/** Places of files in which something else may stand. */

import { constants, openSync, renameSync } from 'node:fs'
import { asideMark, writeAndClose } from '../ffi/regular-file.ts'
import { removeFile } from '../ffi/remove.ts'
import { hasCode } from '../model/errors.ts'
import { surroundings } from '../model/surroundings.ts'

const ASIDE = '.damaged-'

/** True for the name of what was set aside: neither an address nor an owner tag. */
export const isSetAside = (name: string): boolean => name.includes(ASIDE)

/** Removes whatever stands at a path; a directory is set aside, since who knows what is in it. Idempotent. */
export function clearPlace(path: string): void {
  try {
    removeFile(path)
  } catch (thrown) {
    if (!hasCode(thrown, 'EISDIR')) throw thrown
    const aside = path + ASIDE + asideMark()
    renameSync(path, aside)
    surroundings().complain(`tsnet: warning: ${path} is a directory; it was moved to ${aside}\n`)
  }
}

const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = constants

/** Writes a file anew, whatever stands in its place, and never into that. */
export function writeNew(path: string, text: string): void {
  const open = () => openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
  try {
    writeAndClose(open(), text)
  } catch (thrown) {
    if (!hasCode(thrown, 'EEXIST')) throw thrown
    clearPlace(path)
    writeAndClose(open(), text)
  }
}

/** Writes a file, over what it held. @throws Node's error; `EISDIR`, `ENXIO` or `ELOOP` where it is no file */
export const writeOver = (path: string, text: string): void =>
  writeAndClose(openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o600), text)
