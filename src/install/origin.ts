/** Which file of ours a host is linked to. */

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { TsnetError } from '../model/errors.ts'

/** npm keeps what `npx` runs in folders that it removes when it likes. */
const NPX_CACHE = '/_npx/'

/**
 * Where tsnet is a script, as in a package, the program made for this processor stands beside it if there is one.
 * @param executable what people execute: `dist/bin/tsnet`
 * @throws TsnetError `invalid-environment`: it will not stay where it is
 */
export function linkTarget(executable: string, arch: string = process.arch): string {
  if (executable.includes(NPX_CACHE)) {
    throw new TsnetError(
      'invalid-environment',
      `${executable} is in npx's cache, which npm may empty at any time; nothing was installed`,
      { details: 'npm install -g tsnet && tsnet install' },
    )
  }
  const program = join(dirname(executable), `launch-${arch}`)
  return isScript(executable) && existsSync(program) ? program : executable
}

const isScript = (path: string): boolean => existsSync(path) && readFileSync(path, 'latin1').startsWith('#!')
