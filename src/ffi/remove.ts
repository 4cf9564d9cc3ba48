/**
 * Removing what need not be there, or folders that need not be empty: an error of Node's, with its stack, takes
 * several times as long as the kernel to say so.
 */

import { constants } from 'node:os'
import { errno, libc, SystemError } from './ffi.ts'

/** Removes a file. Equivalent to: rm -f PATH. @throws SystemError, where it is there and stays */
export function removeFile(path: string): void {
  if (libc.unlink(path) === 0) return
  const number = errno()
  if (number !== constants.errno.ENOENT) throw new SystemError(`unlink ${JSON.stringify(path)}`, number)
}

/** Removes a folder that is empty. Equivalent to: rmdir PATH. @returns false where it stays, whatever the reason */
export const removeFolder = (path: string): boolean => libc.rmdir(path) === 0
