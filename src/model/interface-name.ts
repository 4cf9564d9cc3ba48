/**
 * Names of network interfaces, checked before they reach the kernel, a file name or a rule.
 */

import { type ErrorCode, TsnetError } from './errors.ts'
import { shown } from './json/shown.ts'

/** IFNAMSIZ without its NUL, linux/if.h. */
export const INTERFACE_NAME_MAX = 15

/** Not interfaces but settings for all of them, or path parts. */
const RESERVED = ['all', 'default', 'lo', '.', '..']

/**
 * Returns the name if it can be that of an interface. The kernel allows more, but a percent sign makes it
 * pick another name, a slash changes a path, and a leading dash turns a name into an option.
 * @param key names the value in the error, such as `bridge` or `CNI_IFNAME`
 * @throws TsnetError with `code`
 */
export function parseInterfaceName(text: string, key: string, code: ErrorCode = 'invalid-config'): string {
  const value = `${key}: ${shown(text)}`
  if (RESERVED.includes(text)) throw new TsnetError(code, `${value} is reserved`)
  if (!/^[A-Za-z0-9_.][A-Za-z0-9_.-]*$/.test(text) || text.length > INTERFACE_NAME_MAX) {
    throw new TsnetError(
      code,
      `${value} is not an interface name: 1 to ${INTERFACE_NAME_MAX} letters, digits, "_", "." or "-", not starting with "-"`,
    )
  }
  return text
}
