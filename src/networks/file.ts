/**
 * The file of a network that was made by hand: `90-NAME.conflist`, for all to read.
 *
 * It appears whole, by link(2), which also fails where there is one already: whoever reads the folder sees all of it or
 * nothing, and a full disk leaves nothing. It is on the disk when we say that it is there. Its number keeps it behind
 * lists that others put there: of those of a folder, Kubernetes and containerd take the first for their pods.
 */

import { closeSync, fchmodSync, fsyncSync, linkSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { makeFolder, syncFolder } from '../ffi/folder.ts'
import { writeAll } from '../ffi/regular-file.ts'
import { removeFile } from '../ffi/remove.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'
import { tellChange } from '../model/surroundings.ts'

const NUMBER = 90

export const fileOf = (folder: string, network: string): string =>
  join(folder, `${NUMBER}-${network}.conflist`)

/** @throws TsnetError `conflict` where there is a file of that name, `io`; nothing is there then that was not before */
export function writeList(path: string, list: object): void {
  tellChange(() => `write ${path}`)
  const folder = dirname(path)
  // No runtime takes a file with this ending for a list.
  const temporary = `${path}.tmp`
  try {
    makeFolder(folder, 0o755)
    removeFile(temporary)
    try {
      fill(temporary, `${JSON.stringify(list, null, 2)}\n`)
      linkSync(temporary, path)
    } finally {
      removeFile(temporary)
    }
    syncFolder(folder)
  } catch (cause) {
    if (hasCode(cause, 'EEXIST'))
      throw new TsnetError('conflict', `${path} is there already, and was left as it is`, { cause })
    throw new TsnetError('io', `cannot write ${path}: ${messageOf(cause)}`, { cause })
  }
}

function fill(path: string, text: string): void {
  const fd = openSync(path, 'wx', 0o644)
  try {
    writeAll(fd, text)
    // Whatever the caller's umask.
    fchmodSync(fd, 0o644)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** @throws TsnetError `io` */
export function removeList(path: string): void {
  tellChange(() => `rm ${path}`)
  try {
    removeFile(path)
    syncFolder(dirname(path))
  } catch (cause) {
    throw new TsnetError('io', `cannot remove ${path}: ${messageOf(cause)}`, { cause })
  }
}
