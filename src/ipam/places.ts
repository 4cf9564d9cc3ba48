/** Places of files in which something else may stand. */

import { constants, openSync, renameSync, writeSync } from 'node:fs'
import { libc } from '../ffi/ffi.ts'
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
    const aside = path + ASIDE + new Date().toISOString().replace(/[-:.]/g, '')
    renameSync(path, aside)
    surroundings().complain(`tsnet: warning: ${path} is a directory; it was moved to ${aside}\n`)
  }
}

const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = constants

/** Writes a file anew, whatever stands in its place, and never into that. */
export function writeNew(path: string, text: string): void {
  const open = () => openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
  try {
    writeTo(open(), text)
  } catch (thrown) {
    if (!hasCode(thrown, 'EEXIST')) throw thrown
    clearPlace(path)
    writeTo(open(), text)
  }
}

/** Writes a file, over what it held. @throws Node's error; `EISDIR`, `ENXIO` or `ELOOP` where it is no file */
export const writeOver = (path: string, text: string): void =>
  writeTo(openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0o600), text)

function writeTo(fd: number, text: string): void {
  try {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
  } finally {
    libc.close(fd)
  }
}
