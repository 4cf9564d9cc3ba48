/** lxc.system.conf(5): lines `key = value`; one that begins with `#` is a comment. */

import { readText } from './files.ts'
import { withoutEndSlashes } from './path.ts'

/** The value of a key, where it has one: to the end of its line, without slashes at its end. */
export function lxcSetting(path: string, key: string): string | undefined {
  for (const line of (readText(path) ?? '').split('\n')) {
    const [name = '', ...value] = line.split('=')
    if (name.trim() !== key) continue
    const text = withoutEndSlashes(value.join('=').trim())
    if (text !== '') return text
  }
  return undefined
}
