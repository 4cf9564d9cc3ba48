/** Subjects that read files: each input is put into a folder of our own first. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** As often as others, which need no disk. */
export const FILE_WEIGHT = 0.25

let top: string | undefined

/** A folder that is gone when the process ends. */
export function ownFolder(): string {
  if (top === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'tsnet-fuzz-'))
    process.once('exit', () => rmSync(made, { recursive: true, force: true }))
    top = made
  }
  return mkdtempSync(join(top, 'a'))
}

/** Writes a text to a file of a folder, and reads it there. */
export function viaFile<T>(name: string, read: (path: string, folder: string) => T): (text: string) => T {
  let folder: string | undefined
  return text => {
    folder ??= ownFolder()
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    return read(path, folder)
  }
}
