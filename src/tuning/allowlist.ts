/**
 * The administrator's list of sysctls that configurations may set: a file with a regular expression a line.
 * Where there is no such file, all are allowed. Who writes into a network's configuration may come from
 * another side than who runs the host.
 */

import { readGiven } from '../ffi/regular-file.ts'
import { hasCode, messageOf, TsnetError } from '../model/errors.ts'

/** Where the reference has it too. */
export const ALLOWLIST = '/etc/cni/tuning/allowlist.conf'

/**
 * Keys are compared as they are written, IFNAME and all.
 * @throws TsnetError `invalid-config` for a key that no line allows, or a line that cannot be understood;
 *   `io` when the file cannot be read
 */
export function checkAllowed(keys: readonly string[], path = ALLOWLIST): void {
  const lines = readLines(path)
  if (lines === undefined) return
  const patterns = lines.map(line => compile(line, path))
  const refused = keys.find(key => !patterns.some(pattern => pattern.test(key)))
  if (refused === undefined) return
  throw new TsnetError(
    'invalid-config',
    `Sysctl ${refused} is not allowed. Only the following sysctls are allowed: [${lines.join(' ')}]`,
    { details: `the list is in ${path}` },
  )
}

function readLines(path: string): string[] | undefined {
  try {
    const lines = readGiven(path).split('\n')
    return lines.map(line => line.trim()).filter(line => line !== '')
  } catch (cause) {
    if (hasCode(cause, 'ENOENT', 'ENOTDIR')) return undefined
    throw new TsnetError('io', `the list of allowed sysctls: ${messageOf(cause)}`, { cause })
  }
}

/** Characters that Go lets stand behind a needless backslash, and JavaScript does not. */
const NEEDLESS = /\\([-_ !"#%&',:;<=>@`~])/g

// The flag u makes an error of all that Go reads in another way, such as \A or [[:alpha:]]; better that
// than another meaning.
function compile(line: string, path: string): RegExp {
  try {
    return new RegExp(
      line.replace(NEEDLESS, (_, character) => (character === '-' ? '\\x2d' : character)),
      'u',
    )
  } catch (cause) {
    throw new TsnetError('invalid-config', `${path}: ${messageOf(cause)}`, { cause })
  }
}
